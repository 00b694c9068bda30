-- A coordinator takes or renews the lead. The twin of weir_coord_lead (core/coord_lead.c).
-- KEYS: meta, lead, map, load
-- ARGV: schema, now in us or '', id, token held (0: none), lease ms
-- Answer: word, now in us, why; OK and STALE: token, leader, ms left of the lease, map's epoch, highest epoch seen
local lead, map, load = KEYS[2], KEYS[3], KEYS[4]
local id, token, lease = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local l = redis.call('HMGET', lead, 'id', 'token', 'until_ms', 'lease_ms')
local holder, last = l[1] or '', tonumber(l[2]) or 0
-- A lease that ends later than it can was taken before the clock was set back.
local ends = math.min(tonumber(l[3]) or 0, now + (tonumber(l[4]) or 0))
local own = token ~= 0 and token == last and id == holder
local word, why = 'OK', ''
if not own and holder ~= '' and now < ends then
    word, why = 'STALE', 'somebody else leads'
    if ends ~= tonumber(l[3]) then
        redis.call('HSET', lead, 'until_ms', int(ends))
    end
else
    if not own then
        holder, last = id, last + 1
    end
    ends = now + lease
    redis.call('HSET', lead, 'id', holder, 'token', int(last), 'until_ms', int(ends), 'lease_ms', int(lease))
end

local epoch = tonumber(redis.call('HGET', map, 'epoch')) or 0
local highest = epoch
for _, text in ipairs(redis.call('HVALS', load)) do
    highest = math.max(highest, tonumber(string.match(text, 'epoch_seen=(%d+)')) or 0)
end
return {word, now_us, why, last, holder, ends - now, epoch, highest}
