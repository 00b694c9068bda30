"""Clients that do everything a client can do, well and badly, chosen by a seeded generator; each knows what it may see.

What is allowed: a whole answer to the request that was asked; weir's own 503 when the pool says so; and, only where the
client itself asked the mock for a fault, weir's 502 or 504 or an answer that is visibly cut off. Everything else is
noted as wrong."""

import random
import socket
import threading
import time

from http1 import Client, Closed

BUSY = {"pool_full", "pool_timeout"}
BEFORE_HEAD = ["reset-before-head", "close-before-head", "stall-before-head"]
IN_BODY = ["reset-after-head", "stall-after-head", "reset-mid-body", "stall-mid-body", "truncate"]
HARMLESS = [("x-mock-close", "1"), ("x-mock-silent-close", "1"), ("x-mock-latency-ms", "30"), ("x-mock-trailers", "1"),
            ("x-mock-interim", "103")]


class Wrong(Exception):
    pass


def expect(true, *what):
    if not true:
        raise Wrong(" ".join(str(w)[:300] for w in what))


def is_busy(r):
    return r.status == 503 and r.get("x-weir-error") in BUSY


class Told(Client):
    """Says in each request which scenario it belongs to, so that the node's log can be asked."""

    name = ""

    def ask(self, method, target, headers=(), body=None, **options):
        super().ask(method, target, [("X-Request-Id", self.name), *headers], body, **options)


class Actor(threading.Thread):
    """One client. It has a generator of its own, so that a seed says what each of them does."""

    def __init__(self, port, seed, number, ending):
        super().__init__(daemon=True)
        self.port, self.ending = port, ending
        self.random = random.Random(f"{seed}/{number}")
        self.number, self.count, self.total = number, 0, 0
        self.done = {}
        self.wrong = []
        self.scenarios = [getattr(self, n) for n in sorted(dir(self)) if n.startswith("do_")]
        self.client = None

    def run(self):
        while not self.ending.is_set() and len(self.wrong) < 5:
            scenario = self.random.choice(self.scenarios)
            self.total += 1
            if self.client is not None:
                self.client.name = f"{self.number}-{self.total}"
            try:
                scenario()
                self.done[scenario.__name__] = self.done.get(scenario.__name__, 0) + 1
            except (Wrong, Closed, OSError, ValueError, IndexError, KeyError, AssertionError) as e:
                if not self.ending.is_set() or isinstance(e, Wrong):
                    self.wrong.append((f"{self.number}-{self.total}", f"{scenario.__name__}: {e!r}"))
                self.drop()
        self.drop()

    # -- connections --

    def drop(self, reset=False):
        if self.client is not None:
            (self.client.reset if reset else self.client.close)()
        self.client = None

    def fresh(self, **options):
        self.drop()
        self.client = Told(self.port, **options)
        self.client.name = f"{self.number}-{self.total}"
        return self.client

    def kept(self):
        """The connection of the last scenario, if that left it usable."""
        if self.client is not None:
            # Nothing may have come that nobody asked for, and the node may have closed it meanwhile.
            expect(not self.client.buffer, "bytes without a request:", self.client.buffer)
            self.client.sock.setblocking(False)
            try:
                data = self.client.sock.recv(100)
                expect(not data, "bytes without a request:", data)
                self.drop()
            except BlockingIOError:
                self.client.sock.setblocking(True)
                self.client.sock.settimeout(60)
            except ConnectionResetError:
                self.drop()
        return self.client or self.fresh()

    def target(self):
        self.count += 1
        return f"/echo/{self.number}-{self.count}"

    def answered(self, r, target):
        """r is the answer to that request, or weir's excuse."""
        if not is_busy(r):
            expect(r.status == 200, target, r)
            expect(r.json()["target"] == target, "the answer to another request:", target, r)
        if r.get("connection") == "close":
            self.drop()

    def harmless(self):
        return [self.random.choice(HARMLESS)] if self.random.random() < 0.3 else []

    def pause(self):
        time.sleep(self.random.random() * 0.02)

    # -- as it should be --

    def do_get(self):
        c, target = self.kept(), self.target()
        self.answered(c.get(target, self.harmless()), target)

    def do_pipeline(self):
        c = self.kept()
        targets = [self.target() for _ in range(self.random.randint(2, 6))]
        c.send("".join(f"GET {t} HTTP/1.1\r\nHost: x\r\n\r\n" for t in targets))
        for t in targets:
            self.answered(c.response(), t)
            if self.client is None:
                return

    def body(self):
        size = self.random.choice([1, 100, 5000, 60000, 100000, 300000])
        return self.random.randbytes(64) * (size // 64 + 1)

    def do_post(self):
        c, body = self.kept(), self.body()
        headers = self.harmless()
        if self.random.random() < 0.3:
            c.ask("POST", "/echo/body", [*headers, ("Transfer-Encoding", "chunked")], None)
            for at in range(0, len(body), 7000):
                part = body[at : at + 7000]
                c.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            c.send(b"0\r\n\r\n")
        else:
            c.ask("POST", "/echo/body", headers, body)
        r = c.response()
        expect(is_busy(r) or (r.status == 200 and r.body == body), "another body:", r.status, len(r.body), len(body))
        if r.get("connection") == "close":
            self.drop()

    def do_expect(self):
        c, body = self.fresh(), self.body()
        c.ask("POST", "/upload", [("Expect", "100-continue"), ("Content-Length", len(body))])
        r = c.response_head()
        if r.status == 100:
            c.send(body)
            r = c.response()
            expect(r.status == 200 and r.json()["bytes"] == len(body), r)
        else:
            expect(is_busy(r), r)
        self.drop()

    def do_early_answer(self):
        """The answer is there before the body has gone: it may be lost when the node resets what it will not read."""
        c = self.fresh()
        try:
            c.ask("POST", "/upload", [("x-mock-early", "1"), ("Content-Length", 400000)])
            for _ in range(40):
                c.send(b"x" * 10000)
            r = c.response()
            expect(r.status == 200 or is_busy(r), r)
        except (Closed, BrokenPipeError, ConnectionResetError):
            pass
        self.drop()

    def do_stream(self):
        c = self.kept()
        tokens = self.random.randint(1, 40)
        headers = [("x-mock-tokens", tokens), ("x-mock-token-interval-ms", self.random.choice([0, 1, 5]))]
        c.ask("POST", "/v1/chat/completions", headers, b'{"model":"m","stream":true,"messages":[]}')
        r = c.response_head()
        if is_busy(r):
            self.drop()
            return
        expect(r.status == 200, r)
        c.stream_held = b""
        events = []
        while (event := c.event()) is not None:
            events.append(event)
        expect(events[-1] == "data: [DONE]" and len(events) >= tokens + 2, "a stream that ended early:", events[-1:])

    def do_slow_reader(self):
        c = self.fresh(receive_buffer=4096)
        size = 300000
        c.ask("GET", f"/download?bytes={size}")
        r = c.response_head()
        if r.status == 200:
            got = len(c.buffer)
            while got < size:
                data = c.sock.recv(self.random.choice([100, 5000, 50000]))
                expect(data, "a download that ended after", got)
                got += len(data)
                if self.random.random() < 0.05:
                    self.pause()
        else:
            expect(is_busy(r), r)
        self.drop()

    def do_look(self):
        c = self.kept()
        page = self.random.choice(["/health", "/health/ready", "/metrics", "/metrics/prometheus", "/health/connections"])
        r = c.get(page)
        expect(r.status == 200, page, r)
        if r.get("connection") == "close":
            self.drop()

    # -- faults of the provider, as asked for --

    def do_fault_before_head(self):
        c = self.fresh()
        r = c.get(self.target(), [("x-mock-fault", self.random.choice(BEFORE_HEAD))])
        expect(r.status in (502, 504) or is_busy(r), r)
        self.drop()

    def do_fault_in_body(self):
        c = self.fresh()
        c.ask("GET", "/download?bytes=50000", [("x-mock-fault", self.random.choice(IN_BODY))])
        try:
            r = c.response()
        except (Closed, ConnectionResetError):
            return
        finally:
            self.drop()
        expect(r.status in (502, 504) or is_busy(r), "an answer that was cut off looks whole:", r.status, len(r.body))

    def do_dead_provider(self):
        c = self.fresh()
        for _ in range(self.random.randint(1, 4)):
            r = c.get("/dead/echo")
            expect((r.status == 502 and r.get("x-weir-error") == "connect_failed") or is_busy(r), r)
            if r.get("connection") == "close":
                break
        self.drop()

    # -- a client that goes --

    def go(self):
        how = self.random.choice(["close", "reset", "half"])
        if how == "half":
            try:
                self.client.finish()
                self.pause()
            except OSError:
                pass
        self.drop(how == "reset")

    def do_go_in_head(self):
        c = self.fresh()
        c.send(self.random.choice(["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX-"]))
        self.pause()
        self.go()

    def do_go_while_waiting(self):
        c = self.fresh()
        c.ask("GET", self.target(), [("x-mock-latency-ms", "50")])
        self.pause()
        self.go()

    def do_go_in_request_body(self):
        c = self.fresh()
        c.ask("POST", "/upload", [("Content-Length", 200000)])
        c.send(b"x" * self.random.choice([0, 10, 30000, 150000]))
        self.pause()
        self.go()

    def do_go_in_answer(self):
        c = self.fresh(receive_buffer=4096)
        c.ask("GET", "/download?bytes=2000000")
        c.sock.recv(self.random.choice([1, 1000, 40000]))
        self.go()

    def do_go_in_pipeline(self):
        c = self.fresh()
        c.send("".join(f"GET {self.target()} HTTP/1.1\r\nHost: x\r\n\r\n" for _ in range(5)))
        self.pause()
        self.go()

    def do_nonsense(self):
        c = self.fresh()
        c.send(self.random.choice([b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                                   b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"]))
        try:
            r = c.response()
            expect(r.status in (400, 503, 505), r)
        except (Closed, ConnectionResetError):
            pass
        self.drop()


def still_refused(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 5):
            return False
    except ConnectionRefusedError:
        return True
