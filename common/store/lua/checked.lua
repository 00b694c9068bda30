-- The result of an endpoint's active check, for all who listen; nothing is kept.
-- KEYS: meta
-- ARGV: schema, now in us or '', channel, endpoint, node, passed (0, 1), why
-- Answer: word, now in us, why
redis.call('PUBLISH', ARGV[3],
    'checked ' .. string.format('%.0f', now_us) .. ' ' .. table.concat({ARGV[4], ARGV[5], ARGV[6], ARGV[7]}, ' '))
return {'OK', now_us, ''}
