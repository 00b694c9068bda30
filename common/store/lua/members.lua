-- All members, with their ages. The twin of weir_coord_members (core/coord_members.c).
-- KEYS: meta, members, load, seen
-- ARGV: schema, now in us or ''
-- Answer: word, now in us, why; OK: members' version, then id, age in ms, record and load of each, in no order
local members, load, seen = KEYS[2], KEYS[3], KEYS[4]

local answer = {'OK', now_us, '', meta_number('members_version')}
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
