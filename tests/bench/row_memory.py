"""Memory for each idle keep-alive client and for each open event stream: private bytes with them, less those without.

Before the first reading the proxy has served a little load, so that what it sets up once is not counted as theirs.
"""

import time

from load import Wrk
from procs import BenchError, Holder

WARM_UP_CLIENTS = 64
SETTLE_S = 1
STREAM_EVENT_MS = 1000
STREAM_SETTLE_S = 3  # a few events have passed on every stream: its buffers are what they will be


def run_idle(starter, names, count, say):
    say(f"idle: {count} keep-alive clients")
    return {"clients": count, "rows": [_measure(starter, name, count, stream=False) for name in names]}


def run_streams(starter, names, count, say):
    say(f"streams: {count} event streams, an event each {STREAM_EVENT_MS} ms")
    return {"streams": count, "event_ms": STREAM_EVENT_MS,
            "rows": [_measure(starter, name, count, stream=True) for name in names]}


def _measure(starter, name, count, stream):
    with starter.tools.origin(event_ms=STREAM_EVENT_MS) as origin, starter.start(name, origin) as proxy:
        with Wrk(proxy.port, WARM_UP_CLIENTS, 1) as load:
            load.requests()
        time.sleep(SETTLE_S)
        before_kb = proxy.process.private_kb()
        with Holder(starter.tools, proxy.port, count, stream) as holder:
            time.sleep(STREAM_SETTLE_S if stream else SETTLE_S)
            held_kb = proxy.process.private_kb()
            dropped = origin.stats()["events_dropped"]
            lost = holder.release()
        if lost > 0:
            raise BenchError(f"{name} closed {lost} of {count} held connections")
        return {"proxy": name, "base_kb": before_kb, "held_kb": held_kb, "events_dropped": dropped,
                "kb_each": (held_kb - before_kb) / count}
