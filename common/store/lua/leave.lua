-- A node ends, orderly. The twin of weir_coord_leave (core/coord_members.c).
-- KEYS: meta, members, load, seen
-- ARGV: schema, now in us or '', channel, id, instance
-- Answer: word, now in us, why
local members, load, seen = KEYS[2], KEYS[3], KEYS[4]
local channel, id = ARGV[3], ARGV[4]

local record = redis.call('HGET', members, id)
if record and string.match(record, '^instance=(%d+)') == ARGV[5] then
    local version = meta_number('members_version') + 1
    redis.call('ZREM', seen, id)
    redis.call('HDEL', members, id)
    redis.call('HDEL', load, id)
    redis.call('HSET', meta, 'members_version', int(version))
    redis.call('PUBLISH', channel, 'members ' .. int(now_us) .. ' ' .. int(version))
end
return {'OK', now_us, ''}
