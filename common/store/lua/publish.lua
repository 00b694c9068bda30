-- The leader publishes a map under its fencing token. The twin of weir_coord_publish (core/coord_lead.c).
-- KEYS: meta, lead, map, load
-- ARGV: schema, now in us or '', channel, id, token, epoch, map
-- Answer: word, now in us, why; OK and STALE: token, leader, ms left of the lease, map's epoch, highest epoch seen
local meta, lead, map, load = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local channel, id, token, epoch = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])

local function int(n)
    return string.format('%.0f', n)
end

-- Byte by byte: the operator < follows the server's locale.
local function is_above(a, b)
    for i = 1, math.min(#a, #b) do
        local x, y = string.byte(a, i), string.byte(b, i)
        if x ~= y then
            return x > y
        end
    end
    return #a > #b
end

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
local now = math.floor(now_us / 1000)
if (tonumber(redis.call('HGET', meta, 'schema')) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end

local l = redis.call('HMGET', lead, 'id', 'token', 'until_ms')
local holder, last, ends = l[1] or '', tonumber(l[2]) or 0, tonumber(l[3]) or 0
local published = redis.call('HMGET', map, 'epoch', 'leader')
local stored, leader = tonumber(published[1]) or 0, published[2] or ''
local led = holder ~= '' and now < ends
local word, why = 'OK', ''
if not led or token == 0 or token ~= last or id ~= holder then
    word, why = 'STALE', 'the lead is lost'
elseif epoch < stored or epoch == stored and (epoch == 0 or not is_above(id, leader)) then
    word, why = 'STALE', 'a newer map is published'
else
    stored = epoch
    redis.call('HSET', map, 'epoch', ARGV[6], 'leader', id, 'map', ARGV[7])
    redis.call('PUBLISH', channel, 'map ' .. int(now_us) .. ' ' .. ARGV[6])
end

local highest = stored
for _, text in ipairs(redis.call('HVALS', load)) do
    highest = math.max(highest, tonumber(string.match(text, 'epoch_seen=(%d+)')) or 0)
end
return {word, now_us, why, last, led and holder or '', led and ends - now or 0, stored, highest}
