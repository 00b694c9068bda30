-- The last events, oldest first.
-- KEYS: meta, events
-- ARGV: schema, now in us or '', how many
-- Answer: word, now in us, why; OK: each event
local meta, events = KEYS[1], KEYS[2]

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
if (tonumber(redis.call('HGET', meta, 'schema')) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end
local answer = {'OK', now_us, ''}
if tonumber(ARGV[3]) > 0 then
    for _, text in ipairs(redis.call('LRANGE', events, -tonumber(ARGV[3]), -1)) do
        answer[#answer + 1] = text
    end
end
return answer
