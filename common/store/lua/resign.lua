-- A coordinator gives the lead up. The twin of weir_coord_resign (core/coord_lead.c).
-- KEYS: meta, lead
-- ARGV: schema, now in us or '', id, token held
-- Answer: word, now in us, why
local meta, lead = KEYS[1], KEYS[2]

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
if (tonumber(redis.call('HGET', meta, 'schema')) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end
local l = redis.call('HMGET', lead, 'id', 'token')
if ARGV[3] ~= '' and l[1] == ARGV[3] and tonumber(l[2]) == tonumber(ARGV[4]) then
    redis.call('HSET', lead, 'id', '', 'until_ms', 0)
end
return {'OK', now_us, ''}
