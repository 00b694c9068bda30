-- The leader adds a point to the cluster's load history under its fencing token. The twin of weir_coord_fold
-- (core/coord_history.c).
-- KEYS: meta, lead, the series
-- ARGV: schema, now in us or '', id, token, ms of a step, the point's number, points kept, point
-- Answer: word, now in us, why; OK and STALE: the newest point's number, or 0
local lead, series = KEYS[2], KEYS[3]
local id, token, step_ms, number = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local under_way = (now - now % step_ms) / step_ms
local newest, _, fields = newest_in(series)
if not leads(lead, id, token) then
    return {'STALE', now_us, 'the lead is lost', newest or 0}
end
if number >= under_way then
    return {'REFUSED', now_us, 'the point\'s time is not over'}
end
if newest and (tonumber(fields.step_ms) ~= step_ms or newest > under_way) then
    redis.call('DEL', series)
    newest = nil
end
if newest and number <= newest then
    return {'STALE', now_us, 'a newer point is kept', newest}
end
redis.call('XADD', series, 'MAXLEN', '=', ARGV[7], int(number) .. '-0', 'point', ARGV[8], 'step_ms', int(step_ms))
return {'OK', now_us, '', number}
