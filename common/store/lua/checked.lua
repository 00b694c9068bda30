-- The result of an endpoint's active check, for all who listen; nothing is kept.
-- KEYS: meta
-- ARGV: schema, now in us or '', channel, endpoint, node, passed (0, 1), why
-- Answer: word, now in us, why
local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
if (tonumber(redis.call('HGET', KEYS[1], 'schema')) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end
redis.call('PUBLISH', ARGV[3],
    'checked ' .. string.format('%.0f', now_us) .. ' ' .. table.concat({ARGV[4], ARGV[5], ARGV[6], ARGV[7]}, ' '))
return {'OK', now_us, ''}
