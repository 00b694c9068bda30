-- The leader's hints to the nodes, under its fencing token. The twin of weir_coord_advise (core/coord_history.c).
-- KEYS: meta, lead, advice
-- ARGV: schema, now in us or '', channel, id, token, hints, analytics or '' (those before stay)
-- Answer: word, now in us, why; OK and STALE: the advice's version
local lead, advice = KEYS[2], KEYS[3]
local channel, id, token = ARGV[3], ARGV[4], tonumber(ARGV[5])

local version = tonumber(redis.call('HGET', advice, 'version')) or 0
if not leads(lead, id, token) then
    return {'STALE', now_us, 'the lead is lost', version}
end
version = version + 1
redis.call('HSET', advice, 'version', int(version), 'leader', id, 'token', int(token), 'ms', int(now), 'hints', ARGV[6])
if ARGV[7] ~= '' then
    redis.call('HSET', advice, 'analytics', ARGV[7])
end
redis.call('PUBLISH', channel, 'hints ' .. int(now_us) .. ' ' .. int(version))
return {'OK', now_us, '', version}
