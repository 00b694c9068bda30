-- All members, with their ages. The twin of weir_coord_members (core/coord_members.c).
-- KEYS: meta, members, load, seen
-- ARGV: schema, now in us or ''
-- Answer: word, now in us, why; OK: members' version, then id, age in ms, record and load of each, in no order
local meta, members, load, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
local now = math.floor(now_us / 1000)
local m = redis.call('HMGET', meta, 'schema', 'members_version')
if (tonumber(m[1]) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end

local answer = {'OK', now_us, '', tonumber(m[2]) or 0}
local ids, ages = {}, {}
local scored = redis.call('ZRANGE', seen, 0, -1, 'WITHSCORES')
for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
    ages[#ages + 1] = math.max(now - tonumber(scored[i + 1]), 0)
end
if #ids > 0 then
    local records = redis.call('HMGET', members, unpack(ids))
    local loads = redis.call('HMGET', load, unpack(ids))
    for i, id in ipairs(ids) do
        -- One of the hashes may have been evicted: such a member is back with its next beat.
        if records[i] and loads[i] then
            answer[#answer + 1] = id
            answer[#answer + 1] = ages[i]
            answer[#answer + 1] = records[i]
            answer[#answer + 1] = loads[i]
        end
    end
end
return answer
