-- The leader publishes a map under its fencing token. The twin of weir_coord_publish (core/coord_lead.c).
-- KEYS: meta, lead, map, load
-- ARGV: schema, now in us or '', channel, id, token, epoch, map
-- Answer: word, now in us, why; OK and STALE: token, leader, ms left of the lease, map's epoch, highest epoch seen
local lead, map, load = KEYS[2], KEYS[3], KEYS[4]
local channel, id, token, epoch = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])

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

local holder, last, ends = lead_in(lead)
local published = redis.call('HMGET', map, 'epoch', 'leader')
local stored, leader = tonumber(published[1]) or 0, published[2] or ''
local led = holder ~= '' and now < ends
local word, why = 'OK', ''
if not leads(lead, id, token) then
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
