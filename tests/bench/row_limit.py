"""A rate limit under more load than it lets through: what the provider sees, by the provider's own clock."""

import asyncio
import bisect
import os
import re
import time
import types

from procs import BenchError, Core, Process, get_json

PER_MINUTE = 600
OFFERED_PER_MINUTE = 2000
WINDOW_S = 60
# A client asks each so often: more seldom than a request may wait in line, so that each keeps its pace.
PACE_S = 12


class Provider(Process):
    """The mock, which remembers when each request came."""

    def __init__(self, build_dir):
        path = os.path.join(build_dir, "bin", "weir-mock-provider")
        super().__init__([path, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"], Core.load)
        ports = dict(re.match(r"(\w+) on 127\.0\.0\.1:(\d+)$", self.read_line(5)).groups() for _ in range(2))
        self.place = types.SimpleNamespace(address="127.0.0.1", port=int(ports["listening"]))
        self.control = ports["control"]

    def arrivals(self):
        return [us / 1e6 for us in get_json(f"http://127.0.0.1:{self.control}/arrivals?from=0")["us"]]


async def _client(port, begin, end, counts):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    at = begin
    while at < end:
        await asyncio.sleep(max(0, at - time.monotonic()))
        writer.write(b"GET /echo HTTP/1.1\r\nHost: bench\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.I)
        await reader.readexactly(int(length.group(1)))
        status = head.split(b" ", 2)[1].decode()
        counts[status] = counts.get(status, 0) + 1
        if status == "429" and b"\r\nretry-after: " not in head.lower():
            raise BenchError("a 429 without Retry-After")
        at += PACE_S
    writer.close()


async def _load(port, seconds):
    count = OFFERED_PER_MINUTE * PACE_S // 60
    begin, counts = time.monotonic() + 1, {}
    await asyncio.gather(*(_client(port, begin + i * PACE_S / count, begin + seconds, counts) for i in range(count)))
    return counts


def windows(times, begin):
    """The fullest window of a minute, and the emptiest one that begins after the first minute and ends with the load."""
    fullest = max(bisect.bisect_left(times, at + WINDOW_S) - i for i, at in enumerate(times))
    emptiest, at = None, begin
    while at + WINDOW_S <= times[-1]:
        n = bisect.bisect_left(times, at + WINDOW_S) - bisect.bisect_left(times, at)
        emptiest = n if emptiest is None or n < emptiest else emptiest
        at += 0.1
    return fullest, emptiest


def run(starter, build_dir, seconds, say):
    say(f"rate limit: {PER_MINUTE} a minute, {OFFERED_PER_MINUTE} offered, {seconds} s")
    limit = {"requests_per_minute": PER_MINUTE}
    with Provider(build_dir) as provider, starter.start("weir", provider.place, workers=2, rate_limit=limit) as proxy:
        counts = asyncio.run(_load(proxy.port, seconds))
        times = provider.arrivals()
    if len(times) != counts.get("200", 0):
        raise BenchError(f"the provider saw {len(times)} requests, clients got {counts}")
    fullest, emptiest = windows(times, times[0])
    return {"limit": PER_MINUTE, "burst": PER_MINUTE // 10, "offered": OFFERED_PER_MINUTE, "seconds": seconds,
            "statuses": counts, "admitted": len(times), "fullest": fullest, "emptiest": emptiest}
