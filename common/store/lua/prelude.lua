-- What every script begins with: cmake/embed_lua.cmake puts it in front of each.
-- KEYS[1]: meta. ARGV[1], ARGV[2]: the caller's schema; now in us, or '' for the server's clock (tests say what it is)
local meta = KEYS[1]

-- A number as text: .. would write large ones as 1e+15.
local function int(n)
    return string.format('%.0f', n)
end

-- A field of meta; 0: it is not there.
local function meta_number(name)
    return tonumber(redis.call('HGET', meta, name)) or 0
end

local now_us = tonumber(ARGV[2])
if not now_us then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end
local now = math.floor(now_us / 1000)

-- Who leads: id or '', token, end of the lease in ms.
local function lead_in(lead)
    local l = redis.call('HMGET', lead, 'id', 'token', 'until_ms')
    return l[1] or '', tonumber(l[2]) or 0, tonumber(l[3]) or 0
end

-- Who leads now, as it is shown: token (0: nobody has led yet), id or '', ms left of the lease. The twin of
-- weir_coord_led_now (core/coord_lead.c).
local function led_in(lead)
    local holder, last, ends = lead_in(lead)
    local led = holder ~= '' and now < ends
    return last, led and holder or '', led and ends - now or 0
end

-- The fence: whether this one leads, under this token.
local function leads(lead, id, token)
    local holder, last, ends = lead_in(lead)
    return holder ~= '' and id == holder and token ~= 0 and token == last and now < ends
end

-- The newest entry of a stream: both halves of its id, and its fields by name; nil: there is none.
local function newest_in(stream)
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    if not last then
        return nil
    end
    local first, second = string.match(last[1], '^(%d+)-(%d+)$')
    local fields = {}
    for i = 1, #last[2], 2 do
        fields[last[2][i]] = last[2][i + 1]
    end
    return tonumber(first), tonumber(second), fields
end

local schema = meta_number('schema')
if schema > tonumber(ARGV[1]) then
    return {'SCHEMA_NEWER', now_us, 'the store\'s contents are of a newer version of weir'}
end

