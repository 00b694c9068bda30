#!/usr/bin/env python3
"""Replays a series of load in a process of its own: the requests of a step are spread evenly over it, each kept waiting
by the mock provider for as long as makes so many of them be in flight at once as the series says.

    replay_load.py '{"steps": [[requests, in_flight], ...], "step_s": 1.0, "ports": [8000]}'

Lines on stdin, `ports 8000 8001`, say where requests go from then on, in turns; `end` or the end of stdin ends it. For
each request it writes `began ended status` (monotonic seconds) when it ends, and before the first one `begin SECONDS`."""

import asyncio
import itertools
import json
import sys
import time

GET = "GET /echo HTTP/1.1\r\nHost: replay\r\nConnection: close\r\nx-mock-latency-ms: %d\r\n\r\n"


class Replay:
    def __init__(self, steps, step_s, ports):
        self.steps, self.step_s, self.ports = steps, step_s, ports
        self.number = itertools.count()
        self.over = asyncio.Event()
        self.open = set()

    async def run(self):
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._listen)
        begin = time.monotonic()
        print(f"begin {begin:.6f}", flush=True)
        for i, (requests, in_flight) in enumerate(self.steps):
            hold_ms = 1000 * self.step_s * in_flight / max(1, requests)
            for n in range(requests):
                at = begin + self.step_s * (i + n / requests)
                await asyncio.sleep(max(0, at - time.monotonic()))
                if self.over.is_set():
                    return
                task = asyncio.create_task(self._ask(round(hold_ms)))
                self.open.add(task)
                task.add_done_callback(self.open.discard)
        await asyncio.gather(*self.open)

    def _listen(self):
        words = sys.stdin.readline().split()
        if words and words[0] == "ports":
            self.ports = [int(w) for w in words[1:]]
        else:
            self.over.set()
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    async def _ask(self, hold_ms):
        began, status = time.monotonic(), "cut"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[next(self.number) % len(self.ports)])
            writer.write((GET % hold_ms).encode())
            status = (await reader.read()).split(b" ", 2)[1].decode()
            writer.close()
        except (OSError, IndexError):
            pass
        print(f"{began:.6f} {time.monotonic():.6f} {status}", flush=True)


async def main():
    await Replay(**json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    asyncio.run(main())
