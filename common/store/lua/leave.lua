-- A node ends, orderly. The twin of weir_coord_leave (core/coord_members.c).
-- KEYS: meta, members, load, seen
-- ARGV: schema, now in us or '', channel, id, instance
-- Answer: word, now in us, why
local meta, members, load, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local channel, id = ARGV[3], ARGV[4]

local function int(n)
    return string.format('%.0f', n)
end

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
local m = redis.call('HMGET', meta, 'schema', 'members_version')
if (tonumber(m[1]) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end

local record = redis.call('HGET', members, id)
if record and string.match(record, '^instance=(%d+)') == ARGV[5] then
    local version = (tonumber(m[2]) or 0) + 1
    redis.call('ZREM', seen, id)
    redis.call('HDEL', members, id)
    redis.call('HDEL', load, id)
    redis.call('HSET', meta, 'members_version', int(version))
    redis.call('PUBLISH', channel, 'members ' .. int(now_us) .. ' ' .. int(version))
end
return {'OK', now_us, ''}
