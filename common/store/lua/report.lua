-- What circuits have seen: one transition for each endpoint. The twin of weir_breaker_report (core/breaker.c) and
-- weir_coord_report (core/coord_circuits.c); the words are theirs, and the order of the fields that they keep.
-- KEYS: meta, circuits, circuits:state
-- ARGV: schema, now in us or '', channel, reporter's id, circuits kept, until when permits are granted in ms or 0, then
--   of each endpoint:
--   its id, failure threshold, recovery ms, longest recovery ms, permits, permit ms, rate in ppm, window ms, least
--   outcomes; generation, reporter's number, successes, failures, run, recent successes, recent failures, cooldown ms,
--   permits wanted, order (0 none, 1 open, 2 close, 3 reset); probes (8 at most): id=verdict,... or ''
-- Answer: word, now in us, why; OK, of each endpoint: {phase, generation, open until, cooldown until, generation of
--   the permits, {id, expires of each}, {kind, reason, generation, until, run, successes, failures of each event}}
local circuits, states = KEYS[2], KEYS[3]
local channel, by, circuits_max, grant_until = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local FIELDS = 20
local BUCKETS, PERMITS_MAX, BATCH = 60, 64, 8
local COOLDOWN_MS_MAX, WITNESS_MS, WITNESS_OK, PPM = 3600000, 10000, 3, 1000000

local function add_u32(a, b)
    return math.min(a + b, 4294967295)
end

local version_before = meta_number('circuits_version')
local version = version_before

-- A state in the store: "name=value name=value ...".

local function numbers(text)
    local fields = {}
    for name, value in string.gmatch(text, '([%w_]+)=(%d+)') do
        fields[name] = tonumber(value)
    end
    return fields
end

local function load(shown, rest)
    local s = numbers(shown .. ' ' .. rest)
    s.phase = string.match(shown, 'phase=(%S*)')
    s.by = string.match(shown, 'by=(%S*)')
    s.permits, s.buckets, s.witnesses = {}, {}, {}
    for id, expires in string.gmatch(string.match(rest, 'permits=(%S*)'), '(%d+)@(%d+)') do
        s.permits[#s.permits + 1] = {tonumber(id), tonumber(expires)}
    end
    for period, ok, fail in string.gmatch(string.match(rest, 'buckets=(%S*)'), '(%d+)/(%d+)/(%d+)') do
        s.buckets[tonumber(period) % BUCKETS] = {tonumber(period), tonumber(ok), tonumber(fail)}
    end
    for node, at in string.gmatch(string.match(rest, 'witnesses=(%S*)'), '(%d+)@(%d+)') do
        s.witnesses[#s.witnesses + 1] = {tonumber(node), tonumber(at)}
    end
    return s
end

local function forget_phase(s)
    s.run, s.probes_ok = 0, 0
    s.permits, s.buckets, s.witnesses = {}, {}, {{0, 0}, {0, 0}}
end

-- Above every generation that a circuit of this endpoint may have had before it was forgotten: nodes may hold an older
-- one to be open, and heed nothing below it. The version is never below any generation.
local function make()
    local s = {phase = 'closed', gen = version, since_ms = now, open_until_ms = 0, cooldown_until_ms = 0, openings = 0,
        permit_last = 0, by = ''}
    forget_phase(s)
    return s
end

local function shown(s)
    return 'phase=' .. s.phase .. ' gen=' .. int(s.gen) .. ' open_until_ms=' .. int(s.open_until_ms) ..
        ' cooldown_until_ms=' .. int(s.cooldown_until_ms) .. ' since_ms=' .. int(s.since_ms) ..
        ' version=' .. int(s.version) .. ' by=' .. s.by
end

local function rest(s)
    local permits, buckets, witnesses = {}, {}, {}
    for i, p in ipairs(s.permits) do
        permits[i] = int(p[1]) .. '@' .. int(p[2])
    end
    for i = 0, BUCKETS - 1 do
        local b = s.buckets[i]
        if b then
            buckets[#buckets + 1] = int(b[1]) .. '/' .. int(b[2]) .. '/' .. int(b[3])
        end
    end
    for i, w in ipairs(s.witnesses) do
        witnesses[i] = int(w[1]) .. '@' .. int(w[2])
    end
    return 'openings=' .. int(s.openings) .. ' run=' .. int(s.run) .. ' probes_ok=' .. int(s.probes_ok) ..
        ' permit_last=' .. int(s.permit_last) .. ' permits=' .. table.concat(permits, ',') ..
        ' buckets=' .. table.concat(buckets, ',') .. ' witnesses=' .. table.concat(witnesses, ',')
end

-- The window of the rate.

local function bucket_ms(p)
    return math.max(math.floor((p.window_ms + BUCKETS - 1) / BUCKETS), 1000)
end

local function window_add(s, p, ok, fail)
    local period = math.floor(now / bucket_ms(p))
    local b = s.buckets[period % BUCKETS]
    if not b or b[1] ~= period then
        b = {period, 0, 0}
        s.buckets[period % BUCKETS] = b
    end
    b[2], b[3] = add_u32(b[2], ok), add_u32(b[3], fail)
end

local function window_of(s, p)
    local width = bucket_ms(p)
    local period, count = math.floor(now / width), math.floor((p.window_ms + width - 1) / width)
    local ok, fail = 0, 0
    for _, b in pairs(s.buckets) do
        if b[1] <= period and b[1] + count > period then
            ok, fail = ok + b[2], fail + b[3]
        end
    end
    return ok, fail
end

-- Changes of phase.

local function say(out, kind, reason, gen, till, run, ok, fail)
    for _, part in ipairs({kind, reason, gen, till or 0, run or 0, ok or 0, fail or 0}) do
        out.events[#out.events + 1] = part
    end
end

local function enter(s, phase)
    s.phase, s.gen, s.since_ms = phase, s.gen + 1, now
    forget_phase(s)
end

local function recovery_ms(s, p)
    local ms, i = p.recovery_ms, 0
    while i < s.openings and ms ~= 0 and ms < p.recovery_max_ms do
        ms, i = ms * 2, i + 1
    end
    return math.min(ms, p.recovery_max_ms)
end

local function open_circuit(s, p, reason, out)
    local ok, fail = window_of(s, p)
    local run, till = s.run, now + recovery_ms(s, p)
    enter(s, 'open')
    s.open_until_ms = math.max(till, s.open_until_ms)
    s.openings = add_u32(s.openings, 1)
    say(out, 'opened', reason, s.gen, s.open_until_ms, run, ok, fail)
end

local function close_circuit(s, reason, out)
    enter(s, 'closed')
    s.openings, s.open_until_ms = 0, 0
    say(out, 'closed', reason, s.gen)
end

-- Permits. The last one takes the place of one that goes.

local function remove_permit(s, i)
    s.permits[i] = s.permits[#s.permits]
    s.permits[#s.permits] = nil
end

local function take_permit(s, id)
    for i, permit in ipairs(s.permits) do
        if permit[1] == id then
            remove_permit(s, i)
            return true
        end
    end
    return false
end

local function grant(s, p, want, out)
    if want == 0 or s.phase == 'closed' or now < s.cooldown_until_ms then
        return
    end
    if s.phase == 'open' then
        if now < s.open_until_ms then
            return
        end
        enter(s, 'half-open')
        say(out, 'half_opened', 'recovery_timeout', s.gen)
    end
    out.gen = s.gen
    while want > 0 and #out.permits < 2 * BATCH do
        if #s.permits + s.probes_ok >= p.permits or #s.permits == PERMITS_MAX then
            return
        end
        s.permit_last = s.permit_last + 1
        s.permits[#s.permits + 1] = {s.permit_last, now + p.permit_ms}
        out.permits[#out.permits + 1] = s.permit_last
        out.permits[#out.permits + 1] = now + p.permit_ms
        want = want - 1
    end
end

-- Reports.

local function cool(s, ms, out)
    local till = now + math.min(ms, COOLDOWN_MS_MAX)
    local was_cooling = s.cooldown_until_ms > now
    if ms == 0 or till <= s.cooldown_until_ms then
        return
    end
    s.cooldown_until_ms = till
    if not was_cooling then
        say(out, 'cooling', 'retry_after', s.gen, till)
    end
end

local function hear_witness(s, p, r)
    local rate = p.rate_ppm ~= 0 and p.rate_ppm or PPM / 2
    local well = r.run == 0 and r.recent_ok >= WITNESS_OK and
        r.recent_fail * PPM < rate * (r.recent_ok + r.recent_fail)
    local slot = s.witnesses[1][2] <= s.witnesses[2][2] and 1 or 2
    for i = 1, 2 do
        if s.witnesses[i][1] == r.node then
            slot = i
        end
    end
    if well then
        s.witnesses[slot] = {r.node, now}
    elseif s.witnesses[slot][1] == r.node then
        s.witnesses[slot] = {0, 0}
    end
end

local function others_are_served(s, node)
    for _, w in ipairs(s.witnesses) do
        if w[1] ~= 0 and w[1] ~= node and w[2] + WITNESS_MS > now then
            return true
        end
    end
    return false
end

local function count(s, p, r, out)
    local reason, ok, fail = 'consecutive_failures', 0, 0
    hear_witness(s, p, r)
    s.run = r.ok > 0 and r.run or add_u32(s.run, r.fail)
    if p.rate_ppm ~= 0 then
        window_add(s, p, r.ok, r.fail)
        ok, fail = window_of(s, p)
    end
    if r.fail == 0 then
        return
    end
    if s.run < p.failure_threshold then
        if p.rate_ppm == 0 or ok + fail < p.window_min or fail * PPM < p.rate_ppm * (ok + fail) then
            return
        end
        reason = 'error_rate'
    end
    if not others_are_served(s, r.node) then
        open_circuit(s, p, reason, out)
    else
        say(out, 'kept_closed', 'witness', s.gen, 0, s.run, ok, fail)
    end
end

local function hear_probes(s, p, r, out)
    local failed = false
    for id, verdict in string.gmatch(r.probes, '(%d+)=(%l+)') do
        if take_permit(s, tonumber(id)) then
            failed = failed or verdict == 'failure'
            s.probes_ok = s.probes_ok + (verdict == 'success' and 1 or 0)
        end
    end
    if failed then
        open_circuit(s, p, 'probe_failed', out)
    end
end

local function obey(s, p, order, out)
    if order == 1 and s.phase ~= 'open' then
        open_circuit(s, p, 'operator', out)
    elseif order == 3 or (order == 2 and s.phase ~= 'closed') then
        close_circuit(s, 'operator', out)
    end
end

-- A clock that was set back: nothing lasts longer from now than it could have been made to.
local function heed_clock(s, p)
    s.open_until_ms = math.min(s.open_until_ms, now + p.recovery_max_ms)
    s.cooldown_until_ms = math.min(s.cooldown_until_ms, now + COOLDOWN_MS_MAX)
    for _, permit in ipairs(s.permits) do
        permit[2] = math.min(permit[2], now + p.permit_ms)
    end
    for _, w in ipairs(s.witnesses) do
        w[2] = math.min(w[2], now)
    end
end

local function report(s, p, r)
    local out = {gen = 0, permits = {}, events = {}}
    heed_clock(s, p)
    for i = #s.permits, 1, -1 do
        if s.permits[i][2] <= now then
            remove_permit(s, i)
        end
    end
    cool(s, r.cooldown_ms, out)
    if r.order ~= 0 then
        obey(s, p, r.order, out)
    elseif r.gen == s.gen and s.phase == 'half-open' and r.probes ~= '' then
        hear_probes(s, p, r, out)
    elseif r.gen == s.gen and s.phase == 'closed' and r.ok + r.fail > 0 then
        count(s, p, r, out)
    end
    if s.phase == 'half-open' and s.probes_ok >= p.permits then
        close_circuit(s, 'probes_succeeded', out)
    end
    grant(s, p, r.want, out)
    return out
end

-- The store.

-- The circuit that has not changed for longest makes room.
local function make_room()
    local oldest, lowest
    local all = redis.call('HGETALL', circuits)
    for i = 1, #all, 2 do
        local changed = tonumber(string.match(all[i + 1], 'version=(%d+)')) or 0
        if not lowest or changed < lowest then
            oldest, lowest = all[i], changed
        end
    end
    redis.call('HDEL', circuits, oldest)
    redis.call('HDEL', states, oldest)
end

local function fetch(endpoint)
    local known = redis.call('HGET', circuits, endpoint)
    local inner = known and redis.call('HGET', states, endpoint)
    if inner then
        return load(known, inner)
    end
    if not known and redis.call('HLEN', circuits) >= circuits_max then
        make_room()
    end
    version = version + 1
    local s = make()
    s.version = version
    return s
end

local function serve(endpoint, p, r)
    local s = fetch(endpoint)
    local gen, till, cooling = s.gen, s.open_until_ms, s.cooldown_until_ms
    local out = report(s, p, r)
    if s.gen ~= gen then
        s.by = by
    end
    local changed = s.gen ~= gen or s.open_until_ms ~= till or s.cooldown_until_ms ~= cooling
    if changed then
        version = version + math.max(s.gen - gen, 1)
        s.version = version
    end
    local text = shown(s)
    redis.call('HSET', circuits, endpoint, text)
    redis.call('HSET', states, endpoint, rest(s))
    if changed then
        redis.call('PUBLISH', channel, 'circuit ' .. int(now_us) .. ' ' .. endpoint .. ' ' .. text)
    end
    return {s.phase, s.gen, s.open_until_ms, s.cooldown_until_ms, out.gen, out.permits, out.events}
end

-- An answer that comes too late is not heard: nobody would use the permit until it expires.
local too_late = grant_until ~= 0 and now > grant_until
local answer = {'OK', now_us, ''}
for at = 7, #ARGV, FIELDS do
    local n = {}
    for i = 1, FIELDS - 2 do
        n[i] = tonumber(ARGV[at + i])
    end
    answer[#answer + 1] = serve(ARGV[at], {failure_threshold = n[1], recovery_ms = n[2], recovery_max_ms = n[3],
        permits = n[4], permit_ms = n[5], rate_ppm = n[6], window_ms = n[7], window_min = n[8]},
        {gen = n[9], node = n[10], ok = n[11], fail = n[12], run = n[13], recent_ok = n[14], recent_fail = n[15],
        cooldown_ms = n[16], want = too_late and 0 or n[17], order = n[18], probes = ARGV[at + FIELDS - 1]})
end
if version ~= version_before then
    redis.call('HSET', meta, 'circuits_version', int(version))
end
return answer
