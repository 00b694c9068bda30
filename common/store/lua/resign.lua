-- A coordinator gives the lead up. The twin of weir_coord_resign (core/coord_lead.c).
-- KEYS: meta, lead
-- ARGV: schema, now in us or '', id, token held
-- Answer: word, now in us, why
local lead = KEYS[2]

local l = redis.call('HMGET', lead, 'id', 'token')
if ARGV[3] ~= '' and l[1] == ARGV[3] and tonumber(l[2]) == tonumber(ARGV[4]) then
    redis.call('HSET', lead, 'id', '', 'until_ms', 0)
end
return {'OK', now_us, ''}
