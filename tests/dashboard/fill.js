// Run on the page: five minutes of a made-up day's load in `seconds` quick steps, in place of what the node answers; with
// hints, where the node has none. The last step stays on the page. A function, to be called.
({ seconds, forecast }) => {
    weirDashboard.feed.stop();
    const base = weirDashboard.overview;
    const now = Date.now() + 1000;
    let seed = 7;
    const chance = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    const counters = new Map(
        base.pools.providers.map((p) => [p.name, { request: [...p.request], first_byte: [...p.first_byte], tries: 0 }]),
    );
    const bucketOf = (value) => base.pools.bounds_ms.findIndex((bound) => value <= bound);
    const around = (middle, spread) => middle * Math.exp(spread * (chance() + chance() + chance() - 1.5));

    /** As they were so many steps ago. */
    function hints(ago) {
        const step = 60,
            here = Math.floor(now / 60000) * 60,
            at = here - step * ago;
        const wave = (k) => 260 + 150 * Math.sin((k - ago) / 19) + 40 * Math.sin((k - ago) / 5);
        const past = Array.from({ length: 60 }, (_, i) => [
            at - step * (59 - i),
            Math.round(wave(i - 59) * (0.94 + 0.12 * chance())),
        ]);
        const ahead = Array.from({ length: 60 }, (_, i) => [
            at + step * (i + 1),
            Math.round(wave(i + 1)),
            Math.round(wave(i + 1) * (1.06 + 0.0022 * i)),
        ]);
        return {
            schema: 1,
            valid: true,
            version: 7,
            leader: "coordinator-1",
            window_s: 3600,
            step_s: step,
            series: { in_flight: { step_s: step, past, ahead } },
            cluster: {
                action: "scale_up",
                nodes: 3,
                desired_nodes: 4,
                safe_concurrency_per_node: 140,
                reason: "a peak of 452 in flight is expected in 29 min; three nodes carry 420",
                in_flight: { now: past[59][1], peak: 452, peak_high: 498, peak_in_s: 1740 },
                requests_per_s: { now: 83 },
            },
            providers: base.pools.providers.map((p, i) => ({ provider: p.name, pool_size: 180 - 60 * i, pool_size_now: p.max })),
        };
    }

    if (forecast) weirDashboard.take({ ...base, hints: hints(40) }, now - 1000 * seconds);
    const advice = forecast ? hints(0) : undefined;
    for (let ago = seconds; ago > 0; ago--) {
        const o = structuredClone(base);
        const level = 0.62 + 0.3 * Math.sin((seconds - ago) / 47) + 0.05 * chance();
        o.nodes.nodes
            .filter((n) => n.alive && n.load)
            .forEach((n, i) => {
                Object.assign(n.load, {
                    in_flight: Math.round(level * (46 - 9 * i)),
                    requests_per_second: Math.round(level * (38 - 6 * i)),
                    errors_per_second: chance() < 0.04 ? 1 : 0,
                    connections: Math.round(30 + level * 20),
                    utilization_percent: Math.round(level * (88 - 13 * i)),
                    loop_lag_us: Math.round(around(1400, 1)),
                });
                n.age_ms = n.self ? 0 : 400 + 100 * i;
            });
        o.pools.timestamp_ms = now - 1000 * ago;
        o.pools.providers.forEach((p, i) => {
            const kept = counters.get(p.name);
            for (let k = 0; k < 24 - 8 * i; k++) {
                kept.first_byte[bucketOf(around(180 + 90 * i, 0.8))]++;
                kept.request[bucketOf(around(1900 + 700 * i, 0.7))]++;
            }
            kept.tries += 24;
            const active = Math.round(p.max * level * (0.95 - 0.3 * i));
            Object.assign(p, {
                request: [...kept.request],
                first_byte: [...kept.first_byte],
                active,
                idle: Math.min(p.max - active, 6 + 2 * i),
                pending: i === 0 && level > 0.93 ? 3 : 0,
                tries: p.tries + kept.tries,
                leases: 1000 + kept.tries,
                reused: Math.round(0.96 * (1000 + kept.tries)),
                created: 44 - 17 * i,
            });
        });
        if (advice) o.hints = advice;
        weirDashboard.take(o, now - 1000 * ago);
    }
    return seconds;
};
