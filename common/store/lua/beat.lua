-- A node lives: its record, and what has changed since. The twin of weir_coord_beat (core/coord_members.c).
-- KEYS: meta, members, load, seen, map, advice, lead
-- ARGV: schema, now in us or '', channel, id, instance, record, load, lease ms, forget ms, members at most, secret or ''
-- Answer: word, now in us, why; OK: incarnation, members' version, members, silent, map's epoch and leader,
--   circuits' version, secret, version of the advice, then of the lead token, leader and ms left
local members, load, seen, map, advice, lead = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local channel, id, record = ARGV[3], ARGV[4], ARGV[6]
local lease, forget, most = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local two52 = 4503599627370496

local m = redis.call('HMGET', meta, 'incarnation', 'secret', 'members_version', 'circuits_version', 'forget_from_ms')
local incarnation, secret, version = tonumber(m[1]) or 0, m[2] or '', tonumber(m[3]) or 0
local forget_from = tonumber(m[5]) or 0
if schema < tonumber(ARGV[1]) then
    redis.call('HSET', meta, 'schema', ARGV[1])
end
if incarnation == 0 then
    incarnation = tonumber(ARGV[5]) % two52 + now_us % two52
    if incarnation == 0 then
        incarnation = 1
    end
    redis.call('HSET', meta, 'incarnation', int(incarnation))
end

-- Times in the future come from before the clock was set back. When nobody has been heard of for a whole lease, it is
-- the clock or the store that was away: all get as much time again.
local newest = redis.call('ZREVRANGE', seen, 0, 0, 'WITHSCORES')
if newest[2] and tonumber(newest[2]) > now then
    for _, early in ipairs(redis.call('ZRANGEBYSCORE', seen, '(' .. int(now), '+inf')) do
        redis.call('ZADD', seen, int(now), early)
    end
    newest[2] = now
end
if forget_from > now + forget or newest[2] and now - tonumber(newest[2]) >= lease then
    forget_from = now + forget
    redis.call('HSET', meta, 'forget_from_ms', int(forget_from))
end

local moved = false
if now >= forget_from then
    for _, silent in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', '(' .. int(now - forget))) do
        redis.call('ZREM', seen, silent)
        redis.call('HDEL', members, silent)
        redis.call('HDEL', load, silent)
        moved = true
    end
end

local word, why = 'OK', ''
local seen_ms = redis.call('ZSCORE', seen, id)
local before = seen_ms and redis.call('HGET', members, id)
if before and string.match(before, '^instance=(%d+)') ~= ARGV[5] and now - tonumber(seen_ms) < lease then
    word, why = 'ID_TAKEN', 'a living node has this id'
elseif not seen_ms and redis.call('ZCARD', seen) >= most then
    word, why = 'REFUSED', 'the cluster has as many members as it may have'
else
    if before ~= record then
        redis.call('HSET', members, id, record)
        moved = true
    end
    redis.call('HSET', load, id, ARGV[7])
    redis.call('ZADD', seen, int(now), id)
end
if moved then
    version = version + 1
    redis.call('HSET', meta, 'members_version', int(version))
    redis.call('PUBLISH', channel, 'members ' .. int(now_us) .. ' ' .. int(version))
end
if word ~= 'OK' then
    return {word, now_us, why}
end
if ARGV[11] ~= '' and secret == '' then
    secret = ARGV[11]
    redis.call('HSET', meta, 'secret', secret)
end

local published = redis.call('HMGET', map, 'epoch', 'leader')
local token, leader, left = led_in(lead)
return {word, now_us, why, incarnation, version, redis.call('ZCARD', seen),
    redis.call('ZCOUNT', seen, '-inf', int(now - lease)), tonumber(published[1]) or 0, published[2] or '',
    tonumber(m[4]) or 0, secret, tonumber(redis.call('HGET', advice, 'version')) or 0, token, leader, left}
