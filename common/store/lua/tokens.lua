-- Tokens of rate limits: put back, charged, granted. The twin of weir_coord_tokens (core/coord_tokens.c) on the
-- arithmetic of core/limiter.c: what is owed to a full bucket is counted in parts of 1/limit us, a token being period_us
-- of them. All numbers are integers below 2^53 while limit and burst are at most 60,000,000.
-- KEYS: meta, then the bucket of each limit
-- ARGV: schema, now in us or '', then of each limit: limit, burst, period us, strict (0, 1), want, unused,
--   unused since in us, spent
-- Answer: word, now in us, why; OK: granted, remaining, us until the next token, us until it is full, of each limit

local RETURN_US, LOWS_US = 1500000, 100000

-- Whole numbers: exact, since a % b is.
local function divide(a, b)
    return (a - a % b) / b
end

local function divide_up(a, b)
    return divide(a, b) + (a % b ~= 0 and 1 or 0)
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

-- The least debt since some grants of the last RETURN_US, oldest first: 'low@at,...', in whole tokens. It is what can
-- come back of tokens that were granted then: a bucket that was full without them would have lost the others.
local function load_lows(text, owes)
    local lows = {}
    for low, at in string.gmatch(text, '(%d+)@(%d+)') do
        lows[#lows + 1] = {low = tonumber(low), at = tonumber(at)}
    end
    if #lows > 0 and lows[#lows].at > now_us then
        owes = 0
    end
    local kept = {}
    for _, e in ipairs(lows) do
        if e.at + RETURN_US >= now_us and e.at <= now_us + RETURN_US then
            kept[#kept + 1] = {low = math.min(e.low, owes), at = e.at}
        end
    end
    return kept
end

local function lows_text(lows)
    local texts = {}
    for i, e in ipairs(lows) do
        texts[i] = int(e.low) .. '@' .. int(e.at)
    end
    return table.concat(texts, ',')
end

-- How many of these come back, by the last entry that saw all of the time since.
local function hand_back(lows, unused, since)
    local from = 0
    while from < #lows and lows[from + 1].at <= since do
        from = from + 1
    end
    if from == 0 or since > now_us then
        return 0
    end
    local n = math.min(unused, lows[from].low)
    local left = lows[from].low - n
    for i, e in ipairs(lows) do
        e.low = i <= from and math.min(e.low, left) or e.low - n
    end
    return n
end

local function serve(key, limit, burst, period, strict, want, unused, since, spent)
    local stored = redis.call('HMGET', key, 'limit', 'burst', 'period_us', 'tat_us', 'tat_part', 'lows')
    local debt, same = owed(stored, limit, burst, period, strict)
    local lows = same and load_lows(stored[6] or '', divide(debt, period)) or {}
    debt = debt - hand_back(lows, unused, since) * period
    debt = math.min(debt + math.min(spent, limit + burst) * period, (limit + burst) * period)

    local capacity = burst * period
    local granted = math.min(want, debt >= capacity and 0 or divide(capacity - debt, period))
    debt = debt + granted * period
    if granted > 0 and (#lows == 0 or now_us >= lows[#lows].at + LOWS_US) then
        lows[#lows + 1] = {low = divide(debt, period), at = now_us}
    end
    local full_us = divide_up(debt, limit)
    redis.call('HSET', key, 'limit', int(limit), 'burst', int(burst), 'period_us', int(period), 'tat_us',
        int(now_us + divide(debt, limit)), 'tat_part', int(debt % limit), 'lows', lows_text(lows))
    -- Full for a day: nobody would find a difference, but where a bucket that begins anew begins empty.
    redis.call('PEXPIRE', key, int(divide(full_us, 1000) + 86400000))
    return granted, debt >= capacity and 0 or divide(capacity - debt, period),
        debt + period > capacity and divide_up(debt + period - capacity, limit) or 0, full_us
end

local answer = {'OK', now_us, ''}
for i = 2, #KEYS do
    local at = 3 + (i - 2) * 8
    local limit, burst, period = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local granted, remaining, wait_us, full_us = serve(KEYS[i], limit, burst, period, ARGV[at + 3] == '1',
        tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]))
    answer[#answer + 1] = granted
    answer[#answer + 1] = remaining
    answer[#answer + 1] = wait_us
    answer[#answer + 1] = full_us
end
return answer
