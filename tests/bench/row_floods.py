"""What others notice while clients flood a proxy over HTTP/2, and come again as often as they are cut off: latency at a
fixed rate, before and during, and memory at its highest.

Cleartext HTTP/2 by prior knowledge and HTTP/1.1 on one port, which nginx before 1.25 does not offer. Flooders, load and
origin share the load's core, so a flooder sends no more than its part of that; the others' latency holds what they wait
for that core, too, and is read against the time before and against HAProxy.
"""

import os
import socket
import struct
import threading
import time

from load import FixedRate, Wrk, quantile
from procs import Core

FLOODERS = 4
CLIENTS, RATE = 8, 25  # of those who behave: few enough to be answered at once
READ_MEMORY_S = 0.1

STREAM_END, HEADERS_END = 0x1, 0x4  # flags (RFC 9113 6)
HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 1, 3, 4, 6, 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = b"\x82\x86\x84\x41\x01a"  # GET, http, /, :authority a (RFC 7541 6)
SEND_TIMEOUT_S = 2


def _frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _resets(send):
    for stream in range(1, 1 << 30, 100):
        send(b"".join(_frame(HEADERS, STREAM_END | HEADERS_END, n, GET) + _frame(RST_STREAM, 0, n, struct.pack(">I", 8))
                      for n in range(stream, stream + 100, 2)))


def _pings(send):
    while True:
        send(_frame(PING, 0, 0, b"12345678") * 100)


def _settings(send):
    while True:
        send(_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 100)


def _continuations(send):
    send(_frame(HEADERS, 0, 1, GET))
    while True:
        send(_frame(CONTINUATION, 0, 1, b"\x40\x01a\x01b" * 200))


KINDS = {"resets": _resets, "pings": _pings, "settings": _settings, "continuations": _continuations}


class Flooder(threading.Thread):
    def __init__(self, port, flood, stop):
        super().__init__(daemon=True)
        self.port, self.flood, self.stop, self.sent, self.connections = port, flood, stop, 0, 0
        self.start()

    def run(self):
        while not self.stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), SEND_TIMEOUT_S) as s:
                    self.connections += 1
                    s.sendall(PREFACE + _frame(SETTINGS, 0, 0))
                    self.flood(lambda data, s=s: self._send(s, data))
            except OSError:
                pass

    def _send(self, s, data):
        if self.stop.is_set():
            raise OSError("it is over")
        s.sendall(data)
        self.sent += len(data)


def _others(proxy, log_path, seconds):
    """Their times, and the most memory meanwhile."""
    most_kb, over = [0], threading.Event()

    def watch():
        while not over.wait(READ_MEMORY_S):
            most_kb[0] = max(most_kb[0], proxy.process.private_kb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with FixedRate(proxy.port, CLIENTS, RATE, seconds, log_path) as load:
            outcome = load.outcome()
    finally:
        over.set()
        watcher.join()
    ms = outcome["ms"] or [float("inf")]
    return {"p50_ms": quantile(ms, 0.5), "p99_ms": quantile(ms, 0.99), "max_ms": max(ms), "errors": outcome["errors"],
            "private_kb": most_kb[0]}


def _measure(starter, name, kind, seconds):
    log_path = os.path.join(starter.scratch, "h2load-floods.log")
    with starter.tools.origin() as origin, starter.start(name, origin) as proxy:
        with Wrk(proxy.port, CLIENTS, 1) as load:
            load.requests()
        calm = _others(proxy, log_path, seconds)
        stop = threading.Event()
        flooders = [Flooder(proxy.port, KINDS[kind], stop) for _ in range(FLOODERS)]
        began = time.monotonic()
        try:
            flooded = _others(proxy, log_path, seconds)
        finally:
            stop.set()
            for each in flooders:
                each.join()
        took = time.monotonic() - began
    return {"proxy": name, "kind": kind, "calm": calm, "flooded": flooded,
            "mb_per_s": sum(f.sent for f in flooders) / took / 1e6,
            "connections_per_s": sum(f.connections for f in flooders) / took}


def run(starter, names, seconds, say):
    home = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {Core.load})
    try:
        rows = []
        for kind in KINDS:
            for name in names:
                if name != "nginx":
                    say(f"floods: {kind}, {FLOODERS} flooders on {name}, {seconds} s before and during")
                    rows.append(_measure(starter, name, kind, seconds))
    finally:
        os.sched_setaffinity(0, home)
    return {"flooders": FLOODERS, "rate": CLIENTS * RATE, "rows": rows}
