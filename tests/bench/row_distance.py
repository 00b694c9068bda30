"""An upstream over TLS that is 50 ms away: what pooling saves, and what resumption saves where a connection is opened."""

import json
import subprocess

from load import FixedRate
from proxies import weir_pool_metrics
from row_pooling import mean_connection_time_ms, run_guide
from secure import Keys, SecureOrigin
from wire import FAR_ADDRESS

PORT = 443
CLIENTS, RATE = 8, 2
VERSIONS = ("1.2", "1.3")


def run(starter, wire, seconds, say):
    keys = Keys(starter.scratch)
    with wire.far(lambda: _origin(starter, keys, "TLSv1.2 TLSv1.3", True)) as origin:
        guide = run_guide(starter, origin, 32, 5, seconds, say, "TLS origin 50 ms away", back="h1s", keys=keys)
    opened = []
    for version in VERSIONS:
        for tickets in (False, True):
            say(f"distance: TLS {version}, {'resumed' if tickets else 'full'} handshakes, {seconds} s")
            with wire.far(lambda v=version, t=tickets: _origin(starter, keys, f"TLSv{v}", t)) as origin:
                opened.append({"version": version, "resumed": tickets, **_measure(starter, origin, keys, seconds)})
    return {"guide": guide, "opened": opened}


def _origin(starter, keys, version, tickets):
    return SecureOrigin(starter.scratch, keys, False, FAR_ADDRESS, PORT, version, tickets)


def _wire_bytes():
    shown = subprocess.run(["ip", "-s", "-j", "link", "show", "weir-near"], check=True, capture_output=True, text=True)
    stats = json.loads(shown.stdout)[0]["stats64"]
    return stats["rx"]["bytes"] + stats["tx"]["bytes"]


def _measure(starter, origin, keys, seconds):
    """Each request opens a connection; the first ones, which have no session yet, are not counted."""
    log = f"{starter.scratch}/h2load-distance.log"
    with starter.start("weir", origin, reuse=False, back="h1s", keys=keys) as proxy:
        with FixedRate(proxy.port, CLIENTS, RATE, 2, log) as load:
            load.outcome()
        before, cpu, sent = weir_pool_metrics(proxy), proxy.process.cpu_ns(), _wire_bytes()
        with FixedRate(proxy.port, CLIENTS, RATE, seconds, log) as load:
            outcome = load.outcome()
        after = weir_pool_metrics(proxy)
        opened = after["connections_created_total"] - before["connections_created_total"]
        return {"connections": opened, "errors": outcome["errors"],
                "set_up_ms": mean_connection_time_ms(before, after),
                "cpu_us": (proxy.process.cpu_ns() - cpu) / 1000 / opened, "bytes": (_wire_bytes() - sent) / opened}
