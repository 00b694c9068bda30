"""Hints put into the store in a coordinator's place."""

import json

from redis_words import command

BASE = "weir:{default}"


def now_ms(redis):
    seconds, micros = command(redis, "TIME")
    return int(seconds) * 1000 + int(micros) // 1000


class Advice:
    """Hints that are valid, for changes."""

    def __init__(self, redis):
        self.redis = redis
        self.version = 0

    def publish(self, action="hold", desired=1, pool_size=0, peak=0.0, peak_high=0.0, peak_in=30.0, life=600.0, at=0.0, **more):
        begun = now_ms(self.redis) + int(at * 1000)
        in_flight = {"now": 0, "peak": peak, "peak_high": peak_high, "peak_in_s": peak_in}
        in_flight["peak_at_unix_ms"] = now_ms(self.redis) + int(peak_in * 1000)
        cluster = {"action": action, "nodes": 2, "desired_nodes": desired, "reason": "the test says so"}
        provider = {"provider": "mock", "in_flight": in_flight, "pool_size": pool_size}
        hints = {"schema": 1, "at_unix_ms": begun, "valid_until_unix_ms": begun + int(life * 1000)}
        self.put(json.dumps({**hints, "cluster": cluster, "providers": [provider], **more}))

    def put(self, hints, analytics=None):
        self.version += 1
        fields = ["version", self.version, "leader", "test", "token", 1, "ms", now_ms(self.redis), "hints", hints]
        command(self.redis, "HSET", f"{BASE}:advice", *fields, *(["analytics", analytics] if analytics else []))
