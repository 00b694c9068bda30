-- The last events, oldest first.
-- KEYS: meta, events
-- ARGV: schema, now in us or '', how many
-- Answer: word, now in us, why; OK: each event
local events = KEYS[2]

local answer = {'OK', now_us, ''}
if tonumber(ARGV[3]) > 0 then
    for _, text in ipairs(redis.call('LRANGE', events, -tonumber(ARGV[3]), -1)) do
        answer[#answer + 1] = text
    end
end
return answer
