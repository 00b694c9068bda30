-- What a node has measured in one slot of time. The twin of weir_coord_append (core/coord_history.c).
-- KEYS: meta, loads
-- ARGV: schema, now in us or '', record, records kept, for how many ms
-- Answer: word, now in us, why
local loads = KEYS[2]

-- An entry's id is its time, of which the last three digits are behind the hyphen; later than the one before it, even
-- when the clock is not.
local at = now_us
local ms, us = newest_in(loads)
if ms then
    at = math.max(at, ms * 1000 + math.min(us, 999) + 1)
end
us = at % 1000
redis.call('XADD', loads, 'MAXLEN', '=', ARGV[4], int((at - us) / 1000) .. '-' .. int(us), 'record', ARGV[3])
redis.call('XTRIM', loads, 'MINID', '=', int(math.max(now - tonumber(ARGV[5]), 0)))
return {'OK', now_us, ''}
