-- The circuits that have changed since a version. The twin of weir_coord_circuits (core/coord_circuits.c).
-- KEYS: meta, circuits
-- ARGV: schema, now in us or '', version
-- Answer: word, now in us, why; OK: circuits' version, then endpoint and circuit of each, in no order
local circuits = KEYS[2]
local since = tonumber(ARGV[3])

local answer = {'OK', now_us, '', meta_number('circuits_version')}
local all = redis.call('HGETALL', circuits)
for i = 1, #all, 2 do
    if (tonumber(string.match(all[i + 1], 'version=(%d+)')) or 0) > since then
        answer[#answer + 1] = all[i]
        answer[#answer + 1] = all[i + 1]
    end
end
return answer
