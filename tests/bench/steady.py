#!/usr/bin/env python3
"""A steady load in a process of its own: clients that each ask at a fixed pace, until its stdin ends. For each request it
writes a line `number began ended status entry` (monotonic seconds; status is `cut` where the answer was not whole).

    steady.py '{"ports": [8000], "clients": 20, "pace_s": 0.1, "keys": 50, "streams": 0}'

Ports take turns; with "shares" the first ports get so many clients more. A client whose port refuses it goes to the next
one. Keys are sent as x-session-id; "streams" clients ask for event streams of two seconds instead. Who has not got an answer
when it is to ask again misses its turn."""

import asyncio
import itertools
import json
import math
import re
import sys
import time

STREAM_BODY = b'{"model": "m", "stream": true, "messages": []}'
STREAM_HEAD = (b"POST /v1/chat/completions?n=%d HTTP/1.1\r\nHost: bench\r\nx-session-id: key-%d\r\nx-request-id: b%d\r\n"
               b"x-mock-tokens: 40\r\nx-mock-token-interval-ms: 50\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n")
GET = b"GET /echo?n=%d HTTP/1.1\r\nHost: bench\r\nx-session-id: key-%d\r\nx-request-id: b%d\r\n\r\n"


class Client:
    def __init__(self, load, index, is_stream):
        self.load, self.index, self.is_stream = load, index, is_stream
        self.port = load.ports[index % len(load.ports)]
        self.reader = self.writer = None

    async def run(self, begin):
        at = begin + self.load.pace_s * self.index / self.load.clients
        while True:
            await asyncio.sleep(max(0, at - time.monotonic()))
            if self.load.ending.is_set():
                break
            number = next(self.load.number)
            began = time.monotonic()
            status = await self._ask(number)
            print(f"{number} {began:.6f} {time.monotonic():.6f} {status} {self.port}", file=self.load.out)
            # In its own time: clients who were held up together must not go on together.
            at += self.load.pace_s * max(1, math.ceil((time.monotonic() - at) / self.load.pace_s))
        self._drop()

    def _drop(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def _ask(self, number):
        try:
            if self.writer is None:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            key = number % self.load.keys
            if self.is_stream:
                self.writer.write(STREAM_HEAD % (number, key, number, len(STREAM_BODY)) + STREAM_BODY)
            else:
                self.writer.write(GET % (number, key, number))
            return await self._answer()
        except ConnectionRefusedError:
            self._drop()
            others = self.load.places
            self.port = others[(others.index(self.port) + 1) % len(others)]
            return "refused"
        except (OSError, asyncio.IncompleteReadError):
            self._drop()
            return "cut"

    async def _answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        if length is not None:
            await self.reader.readexactly(int(length.group(1)))
        else:
            await self.reader.readuntil(b"data: [DONE]\n\n")
            await self.reader.readuntil(b"0\r\n\r\n")
        if b"\r\nconnection: close" in head:
            self._drop()
        return head.split(b" ", 2)[1].decode()


class Load:
    def __init__(self, ports, clients, pace_s, keys, streams=0, shares=None):
        self.places = ports
        self.ports = [p for p, n in zip(ports, shares or [1] * len(ports)) for _ in range(n)]
        self.clients, self.pace_s, self.keys, self.streams = clients, pace_s, keys, streams
        self.number = itertools.count()
        self.ending = asyncio.Event()
        self.out = sys.stdout

    async def run(self):
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self.ending.set)
        begin = time.monotonic()
        everyone = [Client(self, i, False) for i in range(self.clients)]
        everyone += [Client(self, i, True) for i in range(self.streams)]
        await asyncio.gather(*(c.run(begin) for c in everyone))


async def main():
    await Load(**json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    asyncio.run(main())
