-- Entries of loads or of a series, oldest first. The twin of weir_coord_loads and weir_coord_series
-- (core/coord_history.c).
-- KEYS: meta, the stream
-- ARGV: schema, now in us or '', after which, how many at most, bytes at most (or one), what an id's first half counts:
--   1000 in loads, 1 in series
-- Answer: word, now in us, why; OK: newest id, id that this goes to, step in ms, then id and text of each
local stream = KEYS[2]
local after, most, bytes_max, scale = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local function number(first, second)
    return first * scale + math.min(second, scale - 1)
end

local first, second, fields = newest_in(stream)
local newest = first and number(first, second) or 0
local upto = after <= newest and after or 0
local answer = {'OK', now_us, '', newest, upto, tonumber(fields and fields.step_ms) or 0}
if upto == newest or most == 0 then
    return answer
end

local from, bytes = upto + 1, 0
local rest = from % scale
for _, entry in ipairs(redis.call('XRANGE', stream, int((from - rest) / scale) .. '-' .. int(rest), '+', 'COUNT', most)) do
    local text = entry[2][2]
    bytes = bytes + #text
    if #answer > 6 and bytes > bytes_max then
        break
    end
    upto = number(string.match(entry[1], '^(%d+)-(%d+)$'))
    answer[5] = upto
    answer[#answer + 1] = upto
    answer[#answer + 1] = text
end
return answer
