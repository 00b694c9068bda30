"""What a TLS client costs a proxy: CPU of its handshake, full and resumed, and memory while its connection is held.

A client connects, shakes hands, sends one GET, reads the answer (a TLS 1.3 ticket comes with it) and leaves; the same
over plain TCP is taken off. So many handshakes a second a core bears, whatever the client can make.
"""

import os
import socket
import ssl
import time

from procs import BenchError, Core
from secure import SERVER_NAME, Keys

REQUEST = f"GET / HTTP/1.1\r\nHost: {SERVER_NAME}\r\n\r\n".encode()
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
SETTLE_S = 0.5


def client_context(keys, version):
    context = ssl.create_default_context(cafile=keys.ca)
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def open_client(proxy, context=None, session=None):
    """A connection that has had one answer; its session serves the next."""
    sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    if context is not None:
        sock = context.wrap_socket(sock, server_hostname=SERVER_NAME, session=session)
    sock.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise BenchError(f"{proxy.name} answered {answer[:40]!r}")
    return sock


def _us_each(proxy, seconds, context=None, session=None):
    count, end = 0, time.monotonic() + seconds
    before = proxy.process.cpu_ns()
    while time.monotonic() < end:
        sock = open_client(proxy, context, session)
        if session is not None and not sock.session_reused:
            raise BenchError(f"{proxy.name} does not resume TLS sessions")
        sock.close()
        count += 1
    time.sleep(0.05)
    return (proxy.process.cpu_ns() - before) / 1000 / count


def _measure(starter, name, kind, seconds):
    keys = Keys(starter.scratch, kind)
    found = {}
    with starter.tools.origin() as origin:
        with starter.start(name, origin) as proxy:
            _us_each(proxy, seconds / 2)
            found["plain"] = _us_each(proxy, seconds)
        with starter.start(name, origin, front="h1s", keys=keys) as proxy:
            for version in VERSIONS:
                context = client_context(keys, version)
                _us_each(proxy, seconds / 2, context)
                found[f"{version} full"] = _us_each(proxy, seconds, context) - found["plain"]
                with open_client(proxy, context) as first:
                    session = first.session
                found[f"{version} resumed"] = _us_each(proxy, seconds, context, session) - found["plain"]
    return {"proxy": name, "key": kind, "us": found}


def _held_kb(starter, name, version, count):
    """Private memory of each of `count` idle TLS clients."""
    keys = Keys(starter.scratch)
    context = client_context(keys, version)
    with starter.tools.origin() as origin, starter.start(name, origin, front="h1s", keys=keys) as proxy:
        for _ in range(64):
            open_client(proxy, context).close()
        time.sleep(SETTLE_S)
        before = proxy.process.private_kb()
        held = [open_client(proxy, context) for _ in range(count)]
        time.sleep(SETTLE_S)
        after = proxy.process.private_kb()
        for sock in held:
            sock.close()
    return (after - before) / count


def run(starter, names, seconds, count, say):
    home = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {Core.load})
    try:
        rows = []
        for kind in ("ec", "rsa"):
            say(f"handshakes: {kind} key, {seconds} s each")
            rows += [_measure(starter, name, kind, seconds) for name in names]
        say(f"handshakes: memory of {count} TLS clients")
        memory = [{"proxy": name, **{v: _held_kb(starter, name, v, count) for v in VERSIONS}} for name in names]
    finally:
        os.sched_setaffinity(0, home)
    return {"rows": rows, "held": count, "memory_kb": memory}
