-- The newest hints. The twin of weir_coord_advice (core/coord_history.c).
-- KEYS: meta, advice
-- ARGV: schema, now in us or '', with the analytics (0, 1)
-- Answer: word, now in us, why; OK: version (0: none), leader, when in ms, hints, analytics
local a = redis.call('HMGET', KEYS[2], 'version', 'leader', 'ms', 'hints')
local analytics = ARGV[3] == '1' and redis.call('HGET', KEYS[2], 'analytics')
return {'OK', now_us, '', tonumber(a[1]) or 0, a[2] or '', tonumber(a[3]) or 0, a[4] or '', analytics or ''}
