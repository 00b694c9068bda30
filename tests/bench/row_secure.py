"""CPU per request where TLS or HTTP/2 is spoken on either side, in pairs with the relay as in row_cpu.

The relay beside moves plain bytes under its own load: it is the weather, and the unit. What one proxy costs beside
another is the ratio of the two.
"""

from load import H2Load, Wrk
from row_cpu import measure_pair, rows_of
from secure import Keys, SecureOrigin

STREAMS = 10  # requests at once on each connection of an HTTP/2 client
# (to clients, to the upstream): h1 is plain, the others are over TLS
SHAPES = (("h1s", "h1"), ("h2s", "h1"), ("h1", "h1s"), ("h1", "h2s"), ("h2s", "h2s"))
# A round opens all its connections anew; in 8 s their handshakes are 2 % of what is measured, in 3 s they are 5.
ROUND_S_MIN = 8
WARM_UP_S = 3  # h2load does not end when its time is over before all its clients are connected
NOT_SPOKEN = {("nginx", "h2s")}  # nginx has HTTP/2 to upstreams from 1.29.4 on


def run(starter, names, clients, rounds, seconds, say):
    keys = Keys(starter.scratch)
    tables = []
    for front, back in SHAPES:
        say(f"secure: clients {front}, upstream {back}, 2 x {clients} clients, {rounds} rounds of {seconds} s")
        able = [n for n in names if (n, back) not in NOT_SPOKEN]
        tables.append(_run_shape(starter, able, keys, front, back, clients, rounds, seconds))
    return {"clients": clients, "streams": STREAMS, "shapes": tables}


def load_of(proxy, front):
    """Makes the load of a port: what `front` says on the proxy's own, plain HTTP/1.1 elsewhere."""
    def make(port, clients, seconds):
        if front == "h2s" and port == proxy.port:
            return H2Load(port, clients, STREAMS, seconds)
        return Wrk(port, clients, seconds, scheme="https" if front == "h1s" and port == proxy.port else "http")
    return make


def _run_shape(starter, names, keys, front, back, clients, rounds, seconds):
    samples = {name: [] for name in names}
    started = []
    with starter.tools.origin() as plain, SecureOrigin(starter.scratch, keys, http2=back == "h2s") as secure:
        try:
            started.append(starter.start("relay", plain))
            for name in names:
                started.append(starter.start(name, plain if back == "h1" else secure, front=front, back=back, keys=keys))
            floor, proxies = started[0], dict(zip(names, started[1:]))
            for proxy in proxies.values():
                measure_pair(proxy, floor, clients, WARM_UP_S, load_of(proxy, front))
            for _ in range(rounds):
                for name, proxy in proxies.items():
                    samples[name].append(measure_pair(proxy, floor, clients, seconds, load_of(proxy, front)))
        finally:
            for proxy in started:
                proxy.stop()
    return {"front": front, "back": back, "rows": rows_of(samples)}
