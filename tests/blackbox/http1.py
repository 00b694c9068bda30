"""A client that says exactly what it is told to and shows exactly what came back; and an upstream of the same kind."""

import json
import socket
import struct
import threading
import time
import os

BOUND_S = float(os.environ.get("WEIR_WAIT", "30"))


class Closed(Exception):
    """The peer ended the connection where more was expected."""


class Response:
    def __init__(self, status, reason, version, headers):
        self.status = status
        self.reason = reason
        self.version = version
        self.headers = headers
        self.body = b""
        self.trailers = []
        self.interim = []

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def trailer(self, name):
        return next((v for n, v in self.trailers if n.lower() == name.lower()), None)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


def parse_fields(lines):
    return [(n.decode("latin-1"), v.strip(b" \t").decode("latin-1")) for n, _, v in (line.partition(b":") for line in lines)]


class Wire:
    """A connected socket with a read buffer. All reads are bounded."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        sock.settimeout(BOUND_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def finish(self):
        """Ends our direction only."""
        self.sock.shutdown(socket.SHUT_WR)

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed(f"closed after {self.buffer[-200:]!r}")
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            self.fill()
        data, _, self.buffer = self.buffer.partition(mark)
        return data + mark

    def exactly(self, n):
        while len(self.buffer) < n:
            self.fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def to_end(self):
        """Everything up to the end of the connection."""
        try:
            while True:
                self.fill()
        except Closed:
            data, self.buffer = self.buffer, b""
            return data

    def at_end(self):
        """True when the peer has closed with nothing more to read; False when bytes come instead."""
        if self.buffer:
            return False
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def head(self):
        raw = self.until(b"\r\n\r\n")
        lines = raw[:-4].split(b"\r\n")
        return lines[0], parse_fields(lines[1:])

    def chunk(self):
        """One chunk as it was sent: the tests look at how bytes are cut."""
        size = int(self.until(b"\r\n")[:-2].split(b";")[0], 16)
        if size == 0:
            return b""
        data = self.exactly(size)
        assert self.exactly(2) == b"\r\n"
        return data

    def trailer_fields(self):
        lines = []
        while True:
            line = self.until(b"\r\n")[:-2]
            if not line:
                return parse_fields(lines)
            lines.append(line)

    def body(self, headers, until_close, sink=None):
        """By Content-Length, chunks, or the connection's end. Returns body and trailers; sink(bytes) takes it instead."""
        have = {n.lower(): v for n, v in headers}
        take = [] if sink is None else None
        sink = take.append if sink is None else sink
        trailers = []
        if have.get("transfer-encoding", "").lower() == "chunked":
            while data := self.chunk():
                sink(data)
            trailers = self.trailer_fields()
        elif "content-length" in have:
            left = int(have["content-length"])
            while left > 0:
                if not self.buffer:
                    self.fill()
                data, self.buffer = self.buffer[:left], self.buffer[left:]
                left -= len(data)
                sink(data)
        elif until_close:
            sink(self.to_end())
        return b"".join(take) if take is not None else b"", trailers


class Client(Wire):
    def __init__(self, port, host="127.0.0.1", receive_buffer=None, source=None, tls=None, name="localhost", first=b""):
        """tls: an ssl.SSLContext, with the name to ask for; first: sent before the handshake (a PROXY header)."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(BOUND_S)
        try:
            if source:
                sock.bind((source, 0))
            sock.connect((host, port))
            if tls is not None:
                sock.sendall(first)
                sock = tls.wrap_socket(sock, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock)
        self.port = port

    def ask(self, method, target, headers=(), body=None, host="weir-test"):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{n}: {v}" for n, v in headers)]
        if body is not None and not any(n.lower() in ("content-length", "transfer-encoding") for n, _ in headers):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))

    def response_head(self):
        """The next head, interim ones included."""
        line, headers = self.head()
        version, status, *reason = line.split(b" ", 2)
        return Response(int(status), reason[0].decode("latin-1") if reason else "", version.decode(), headers)

    def response(self, method="GET", sink=None):
        interim = []
        r = self.response_head()
        while r.status < 200:
            interim.append(r)
            r = self.response_head()
        r.interim = interim
        if method != "HEAD" and r.status not in (204, 304):
            r.body, r.trailers = self.body(r.headers, True, sink)
        return r

    def request(self, method, target, headers=(), body=None, **options):
        self.ask(method, target, headers, body, **options)
        return self.response(method)

    def get(self, target, headers=(), **options):
        return self.request("GET", target, headers, **options)

    def post(self, target, body, headers=(), **options):
        return self.request("POST", target, headers, body, **options)

    def event(self, collected=None):
        """The next server-sent event of a chunked stream: its text without the empty line; None at the stream's end."""
        held = getattr(self, "stream_held", b"")
        while b"\n\n" not in held:
            data = self.chunk()
            if not data:
                self.stream_trailers = self.trailer_fields()
                assert not held, f"stream ended inside an event: {held!r}"
                return None
            if collected is not None:
                collected.append(data)
            held += data
        event, _, self.stream_held = held.partition(b"\n\n")
        return event.decode()


def end_listener(listener):
    """Closed alone, it would go on to listen for the thread that waits in accept(), which, when a signal wakes it, goes on with
    whatever listener has the same number by then: that of another test."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()


class Request:
    def __init__(self, line, headers):
        self.line = line
        self.method, self.target, self.version = line.decode("latin-1").split(" ")
        self.headers = headers
        self.body = b""
        self.trailers = []

    all = Response.all
    get = Response.get

    def __repr__(self):
        return f"<{self.line!r} {self.headers} {self.body[:200]!r}>"


class Upstream:
    """Listens, and runs `script(wire, upstream)` in a thread for each connection. What fails in a script fails the test."""

    def __init__(self, script, backlog=128, tls=None):
        """tls: an ssl.SSLContext; connections whose handshake fails are counted in `refusals`, and run no script."""
        self.script = script
        self.tls = tls
        self.refusals = []
        self.requests = []
        self.connections = 0
        self.errors = []
        self.wires = []
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._begin, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _begin(self, sock):
        if self.tls is not None:
            sock.settimeout(BOUND_S)
            try:
                sock = self.tls.wrap_socket(sock, server_side=True)
            except OSError as e:
                with self.lock:
                    self.refusals.append(e)
                    self.changed.notify_all()
                sock.close()
                return
        wire = UpstreamWire(sock, self)
        with self.lock:
            self.connections += 1
            self.wires.append(wire)
            self.changed.notify_all()
        self._serve(wire)

    def _serve(self, wire):
        try:
            self.script(wire, self)
        except (Closed, OSError):
            pass  # the node may close at any time; what must not happen is asserted on what was recorded
        except Exception as e:  # noqa: BLE001 - shown by the test
            self.errors.append(e)
        finally:
            wire.close()

    def record(self, request):
        with self.lock:
            self.requests.append(request)
            self.changed.notify_all()

    def wait(self, condition, what):
        """Waits until condition(self), with the lock held while it is evaluated."""
        deadline = time.monotonic() + BOUND_S
        with self.lock:
            while not condition(self):
                assert self.changed.wait(max(0, deadline - time.monotonic())), f"upstream waited for {what}"

    def close(self):
        self.ending.set()
        end_listener(self.listener)
        for wire in list(self.wires):
            try:
                wire.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(BOUND_S)
        assert not self.errors, f"the scripted upstream failed: {self.errors!r}"


class UpstreamWire(Wire):
    def __init__(self, sock, upstream):
        super().__init__(sock)
        self.upstream = upstream

    def request_head(self):
        line, headers = self.head()
        return Request(line, headers)

    def hold(self):
        """Reads nothing and says nothing until the test ends."""
        self.upstream.ending.wait(BOUND_S)

    def request(self):
        """A whole request, recorded."""
        r = self.request_head()
        r.body, r.trailers = self.body(r.headers, False)
        self.upstream.record(r)
        return r


def answering(*answers, then_close=False):
    """A script that sends the answers, in turn over and over, one for each request; then_close ends after each."""
    count = iter(range(1 << 62))

    def script(wire, _):
        while True:
            wire.request()
            answer = answers[next(count) % len(answers)]
            wire.send(answer)
            if then_close:
                return

    return script
