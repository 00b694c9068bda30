-- The published shard map. The twin of weir_coord_map (core/coord_lead.c).
-- KEYS: meta, map
-- ARGV: schema, now in us or ''
-- Answer: word, now in us, why; OK: epoch (0: none), leader, map
local meta, map = KEYS[1], KEYS[2]

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
if (tonumber(redis.call('HGET', meta, 'schema')) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end
local published = redis.call('HMGET', map, 'epoch', 'leader', 'map')
return {'OK', now_us, '', tonumber(published[1]) or 0, published[2] or '', published[3] or ''}
