-- The circuits that have changed since a version. The twin of weir_coord_circuits (core/coord_circuits.c).
-- KEYS: meta, circuits
-- ARGV: schema, now in us or '', version
-- Answer: word, now in us, why; OK: circuits' version, then endpoint and circuit of each, in no order
local meta, circuits = KEYS[1], KEYS[2]
local since = tonumber(ARGV[3])

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
local m = redis.call('HMGET', meta, 'schema', 'circuits_version')
if (tonumber(m[1]) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end
local answer = {'OK', now_us, '', tonumber(m[2]) or 0}
local all = redis.call('HGETALL', circuits)
for i = 1, #all, 2 do
    if (tonumber(string.match(all[i + 1], 'version=(%d+)')) or 0) > since then
        answer[#answer + 1] = all[i]
        answer[#answer + 1] = all[i + 1]
    end
end
return answer
