-- Something to be remembered and told: numbered, dated and kept among the last.
-- KEYS: meta, events
-- ARGV: schema, now in us or '', channel, a JSON object, events kept
-- Answer: word, now in us, why
local meta, events = KEYS[1], KEYS[2]

local function int(n)
    return string.format('%.0f', n)
end

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
local m = redis.call('HMGET', meta, 'schema', 'events')
if (tonumber(m[1]) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end
local id = (tonumber(m[2]) or 0) + 1
local text = '{"id":' .. int(id) .. ',"unix_ms":' .. int(math.floor(now_us / 1000)) ..
    (#ARGV[4] > 2 and ',' or '') .. string.sub(ARGV[4], 2)
redis.call('HSET', meta, 'events', int(id))
redis.call('RPUSH', events, text)
redis.call('LTRIM', events, -tonumber(ARGV[5]), -1)
redis.call('PUBLISH', ARGV[3], 'event ' .. int(now_us) .. ' ' .. text)
return {'OK', now_us, ''}
