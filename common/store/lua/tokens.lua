-- Tokens of rate limits: put back, charged, granted. The twin of weir_coord_tokens (core/coord_tokens.c) on the
-- arithmetic of core/limiter.c: what is owed to a full bucket is counted in parts of 1/limit us, a token being period_us
-- of them. All numbers are integers below 2^53 while limit and burst are at most 60,000,000.
-- KEYS: meta, then the bucket of each limit
-- ARGV: schema, now in us or '', then of each limit: limit, burst, period us, strict (0, 1), want, unused, spent
-- Answer: word, now in us, why; OK: granted, remaining, us until the next token, us until it is full, of each limit

local RETURN_US = 1500000

local function int(n)
    return string.format('%.0f', n)
end

-- Whole numbers: exact, since a % b is.
local function divide(a, b)
    return (a - a % b) / b
end

local function divide_up(a, b)
    return divide(a, b) + (a % b ~= 0 and 1 or 0)
end

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
if (tonumber(redis.call('HGET', KEYS[1], 'schema')) or 0) > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end

-- What is owed in the bucket as it is stored, in parts of the numbers asked for, and whether it had the same numbers.
local function owed(stored, limit, burst, period, strict)
    local was_limit, was_period = tonumber(stored[1]), tonumber(stored[3])
    local tat, part = tonumber(stored[4]), tonumber(stored[5])
    if not (was_limit and was_period and tat and part and stored[2]) then
        return strict and burst * period or 0, false
    end
    local debt = tat < now_us and 0 or (tat - now_us) * was_limit + part
    local same = was_limit == limit and tonumber(stored[2]) == burst and was_period == period
    if not same then
        debt = math.min(divide_up(debt, was_period), limit + burst) * period
    end
    -- More is owed only for what was spent longer than a period ago, or because the clock was set back.
    return math.min(debt, (limit + burst) * period), same
end

-- The least that was owed in this round and in the one before, in tokens, rounded down: no more comes back of tokens
-- that were taken in them, since a bucket that was full without them would have lost them.
local function lows(stored, same, debt, period)
    local round, was, low, before = divide(now_us, RETURN_US), tonumber(stored[6]), tonumber(stored[7]), tonumber(stored[8])
    local owes = debt > 0 and divide_up(debt, period) - 1 or 0
    if not same or not (was and low and before) then
        low, before = 0, 0
        was = was or round
    end
    if round == was + 1 then
        before = low
    elseif round > was then
        before = owes
    elseif round < was then
        low, before = 0, 0
    end
    return round, round > was and owes or math.min(low, owes), before
end

local function serve(key, limit, burst, period, strict, want, unused, spent)
    local stored = redis.call('HMGET', key, 'limit', 'burst', 'period_us', 'tat_us', 'tat_part', 'round', 'low',
        'low_before')
    local debt, same = owed(stored, limit, burst, period, strict)
    local round, low, before = lows(stored, same, debt, period)
    local back = math.min(unused, low, before)
    debt = debt - back * period
    debt = math.min(debt + math.min(spent, limit + burst) * period, (limit + burst) * period)

    local capacity = burst * period
    local granted = math.min(want, debt >= capacity and 0 or divide(capacity - debt, period))
    debt = debt + granted * period
    local full_us = divide_up(debt, limit)
    redis.call('HSET', key, 'limit', int(limit), 'burst', int(burst), 'period_us', int(period), 'tat_us',
        int(now_us + divide(debt, limit)), 'tat_part', int(debt % limit), 'round', int(round), 'low', int(low - back),
        'low_before', int(before - back))
    -- Full for a day: nobody would find a difference, but where a bucket that begins anew begins empty.
    redis.call('PEXPIRE', key, int(divide(full_us, 1000) + 86400000))
    return granted, debt >= capacity and 0 or divide(capacity - debt, period),
        debt + period > capacity and divide_up(debt + period - capacity, limit) or 0, full_us
end

local answer = {'OK', now_us, ''}
for i = 2, #KEYS do
    local at = 3 + (i - 2) * 7
    local limit, burst, period = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local granted, remaining, wait_us, full_us = serve(KEYS[i], limit, burst, period, ARGV[at + 3] == '1',
        tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]))
    answer[#answer + 1] = granted
    answer[#answer + 1] = remaining
    answer[#answer + 1] = wait_us
    answer[#answer + 1] = full_us
end
return answer
