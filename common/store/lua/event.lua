-- Something to be remembered and told: numbered, dated and kept among the last.
-- KEYS: meta, events
-- ARGV: schema, now in us or '', channel, a JSON object, events kept
-- Answer: word, now in us, why
local events = KEYS[2]

local id = meta_number('events') + 1
local text = '{"id":' .. int(id) .. ',"unix_ms":' .. int(now) ..
    (#ARGV[4] > 2 and ',' or '') .. string.sub(ARGV[4], 2)
redis.call('HSET', meta, 'events', int(id))
redis.call('RPUSH', events, text)
redis.call('LTRIM', events, -tonumber(ARGV[5]), -1)
redis.call('PUBLISH', ARGV[3], 'event ' .. int(now_us) .. ' ' .. text)
return {'OK', now_us, ''}
