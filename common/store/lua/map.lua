-- The published shard map, and who leads. The twin of weir_coord_map (core/coord_lead.c).
-- KEYS: meta, map, lead
-- ARGV: schema, now in us or ''
-- Answer: word, now in us, why; OK: epoch (0: none), leader, map, then of the lead token, leader and ms left
local map, lead = KEYS[2], KEYS[3]

local published = redis.call('HMGET', map, 'epoch', 'leader', 'map')
local token, leader, left = led_in(lead)
return {'OK', now_us, '', tonumber(published[1]) or 0, published[2] or '', published[3] or '', token, leader, left}
