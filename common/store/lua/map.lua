-- The published shard map. The twin of weir_coord_map (core/coord_lead.c).
-- KEYS: meta, map
-- ARGV: schema, now in us or ''
-- Answer: word, now in us, why; OK: epoch (0: none), leader, map
local map = KEYS[2]

local published = redis.call('HMGET', map, 'epoch', 'leader', 'map')
return {'OK', now_us, '', tonumber(published[1]) or 0, published[2] or '', published[3] or ''}
