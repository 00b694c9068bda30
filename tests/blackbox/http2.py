"""HTTP/2 under the test's control: an upstream (what it answers, when, what it does to its connections) and a client."""

import socket
import threading

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from http1 import BOUND_S, Client, Closed, Response, end_listener
from hyperframe.frame import GoAwayFrame

HEAD_BYTES_MAX = 1 << 20


class Stream:
    """One request, and the means to answer it. Any thread may."""

    def __init__(self, wire, number, headers):
        self.wire = wire
        self.number = number
        self.headers = headers
        self.body = b""
        self.trailers = []
        self.reset = None  # the code with which the peer ended it
        self.ended = False  # all of the request is here
        self.unsent = b""
        self.end_after = False

    def get(self, name, default=None):
        return next((v for n, v in self.headers if n == name), default)

    @property
    def path(self):
        return self.get(":path")

    def head(self, status=200, headers=(), end=False):
        self.wire.do(lambda c: c.send_headers(self.number, [(":status", str(status)), *headers], end_stream=end))

    def data(self, data, end=False):
        """As far as the windows allow now, the rest as they open."""
        with self.wire.lock:
            self.unsent += data
            self.end_after = end
            self.wire.push(self)

    def answer(self, status=200, body=b"ok", headers=()):
        self.head(status, headers)
        self.data(body, end=True)

    def end(self, trailers=()):
        if trailers:
            self.wire.do(lambda c: c.send_headers(self.number, list(trailers), end_stream=True))
        else:
            self.data(b"", end=True)

    def cancel(self, code=ErrorCodes.INTERNAL_ERROR):
        self.wire.do(lambda c: c.reset_stream(self.number, code))


class Wire:
    """One connection."""

    def __init__(self, sock, upstream):
        self.sock = sock
        self.upstream = upstream
        self.lock = threading.RLock()
        self.streams = {}
        self.total = 0
        self.open_max = 0
        self.closed = False
        self.last = None  # requests above it are not looked at
        self.conn = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8", validate_inbound_headers=True))
        self.conn.decoder.max_header_list_size = HEAD_BYTES_MAX

    def do(self, step):
        with self.lock:
            try:
                step(self.conn)
                self.flush()
            except (ProtocolError, OSError):
                pass  # the peer has ended the stream or the connection meanwhile

    def flush(self):
        data = self.conn.data_to_send()
        if data and not self.upstream.mute:
            self.sock.sendall(data)

    def push(self, stream):
        def step(conn):
            while stream.unsent:
                n = min(conn.local_flow_control_window(stream.number), conn.max_outbound_frame_size, len(stream.unsent))
                if n <= 0:
                    return
                conn.send_data(stream.number, stream.unsent[:n])
                stream.unsent = stream.unsent[n:]
            if stream.end_after:
                conn.end_stream(stream.number)
                stream.end_after = False

        self.do(step)

    def goaway(self, last=None):
        """Takes no more requests; last: the highest that was looked at."""
        with self.lock:
            self.last = self.conn.highest_inbound_stream_id if last is None else last
            frame = GoAwayFrame(0, last_stream_id=self.last)  # by hand: the library would end the connection with it
            try:
                self.sock.sendall(frame.serialize())
            except OSError:
                pass

    def close(self):
        self.closed = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def open_count(self):
        return len(self.streams)

    def run(self):
        with self.lock:
            if self.upstream.streams_max is not None:
                limit = {SettingCodes.MAX_CONCURRENT_STREAMS: self.upstream.streams_max}
                self.conn.local_settings = Settings(client=False, initial_values=limit)
            self.conn.initiate_connection()
            self.flush()
        while True:
            data = self.sock.recv(65536)
            if not data:
                return
            with self.lock:
                events = self.conn.receive_data(data)
                ready = [s for s in (self.take(e) for e in events) if s is not None]
                try:
                    self.flush()
                except OSError:
                    return
            for stream in ready:
                self.upstream.serve(stream)

    def take(self, event):
        number = getattr(event, "stream_id", None)
        stream = self.streams.get(number)
        if number is not None and self.last is not None and number > self.last:
            return None
        if isinstance(event, RequestReceived):
            stream = self.streams[number] = Stream(self, number, event.headers)
            self.total += 1
            self.open_max = max(self.open_max, len(self.streams))
            return stream if self.upstream.early else None
        if isinstance(event, DataReceived):
            self.conn.acknowledge_received_data(event.flow_controlled_length, number)
            if stream is not None:
                stream.body += event.data
        elif isinstance(event, TrailersReceived) and stream is not None:
            stream.trailers = event.headers
        elif isinstance(event, StreamEnded) and stream is not None:
            stream.ended = True
            return None if self.upstream.early else stream
        elif isinstance(event, StreamReset) and stream is not None:
            stream.reset = event.error_code
            self.streams.pop(number, None)
        elif isinstance(event, WindowUpdated):
            for s in list(self.streams.values()):
                if s.unsent:
                    self.push(s)
        elif isinstance(event, ConnectionTerminated):
            self.close()
        self.upstream.note()
        return None

    def over(self, stream):
        self.streams.pop(stream.number, None)


class Upstream2:
    """Calls script(stream) for each request, in a thread of its own, when all of it is here (early: when its head is)."""

    def __init__(self, script, tls=None, streams_max=None, early=False):
        self.script = script
        self.tls = tls
        self.streams_max = streams_max
        self.early = early
        self.mute = False
        self.refuse = 0  # so many requests are refused (REFUSED_STREAM) before the next is looked at
        self.requests = []
        self.wires = []
        self.errors = []
        self.ending = threading.Event()
        self.changed = threading.Condition()
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self):
        return len(self.wires)

    def note(self):
        with self.changed:
            self.changed.notify_all()

    def wait(self, condition, what):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), BOUND_S), f"upstream waited for {what}"

    def serve(self, stream):
        with self.changed:
            refused = self.refuse > 0
            self.refuse -= refused
            if not refused:
                self.requests.append(stream)
            self.changed.notify_all()
        if refused:
            stream.cancel(ErrorCodes.REFUSED_STREAM)
            stream.wire.over(stream)
            return
        threading.Thread(target=self._run, args=(stream,), daemon=True).start()

    def _run(self, stream):
        try:
            self.script(stream)
        except Exception as e:  # noqa: BLE001 - shown by the test
            self.errors.append(e)
        finally:
            if not stream.unsent:
                stream.wire.over(stream)
            self.note()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._begin, args=(sock,), daemon=True).start()

    def _begin(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            wire = Wire(sock, self)
            with self.changed:
                self.wires.append(wire)
                self.changed.notify_all()
            wire.run()
        except ProtocolError as e:
            self.errors.append(e)  # the node has broken the protocol
        except OSError:
            pass  # the node may close at any time
        finally:
            sock.close()

    def close(self):
        self.ending.set()
        end_listener(self.listener)
        for wire in self.wires:
            wire.close()
        assert not self.errors, f"the scripted upstream failed: {self.errors!r}"


class Answer(Response):
    """As it comes: `done` when the stream is over, `reset` with the peer's code if it was cut off."""

    def __init__(self):
        super().__init__(None, "", "HTTP/2", [])
        self.done = False
        self.reset = None


class Client2:
    """One connection with many streams; reads only when it is asked to wait for something."""

    def __init__(self, port, tls=None, window=None, streams_max=None, host="127.0.0.1"):
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        self.wire = Client(port, host, tls=tls)
        if tls is not None:
            assert self.wire.sock.selected_alpn_protocol() == "h2"
        self.sock = self.wire.sock
        as_told = {"validate_outbound_headers": False, "normalize_outbound_headers": False}
        self.conn = H2Connection(H2Configuration(client_side=True, header_encoding="latin-1", **as_told))
        self.conn.decoder.max_header_list_size = HEAD_BYTES_MAX
        if window is not None:
            self.conn.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.conn.initiate_connection()
        self.answers = {}
        self.paused = set()  # streams whose windows are not opened again
        self.goaway = None
        self.scheme = "https" if tls is not None else "http"
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset_all(self):
        self.wire.sock = self.sock
        self.wire.reset()

    def flush(self):
        data = self.conn.data_to_send()
        if data:
            self.sock.sendall(data)

    def fields(self, method, target, headers=(), host="weir-test"):
        first = [(":method", method), (":scheme", self.scheme), (":authority", host), (":path", target)]
        return [*first, *((n.lower(), v) for n, v in headers)]

    def ask(self, method, target, headers=(), body=None, end=True, raw=None):
        """Begins a request, and sends its body as far as the windows go; returns its stream's number."""
        number = self.conn.get_next_available_stream_id()
        self.answers[number] = Answer()
        self.conn.send_headers(number, raw or self.fields(method, target, headers), end_stream=body is None and end)
        self.flush()
        if body is not None:
            self.send(number, body, end)
        return number

    def send(self, number, data, end=False):
        while data:
            n = min(self.conn.local_flow_control_window(number), self.conn.max_outbound_frame_size, len(data))
            if n > 0:
                self.conn.send_data(number, data[:n])
                data = data[n:]
                self.flush()
            elif self.answers[number].done:
                return
            else:
                self.read()
        if end:
            self.conn.end_stream(number)
            self.flush()

    def trailers(self, number, fields):
        self.conn.send_headers(number, fields, end_stream=True)
        self.flush()

    def cancel(self, number, code=ErrorCodes.CANCEL):
        self.conn.reset_stream(number, code)
        self.flush()

    def read(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed("the connection ended")
        for event in self.conn.receive_data(data):
            self.take(event)
        self.flush()

    def take(self, event):
        a = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, InformationalResponseReceived):
            interim = Answer()
            interim.status, interim.headers = int(event.headers[0][1]), event.headers[1:]
            a.interim.append(interim)
        elif isinstance(event, ResponseReceived):
            a.status, a.headers = int(event.headers[0][1]), event.headers[1:]
        elif isinstance(event, DataReceived):
            a.body += event.data
            if event.stream_id not in self.paused:
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, TrailersReceived):
            a.trailers = event.headers
        elif isinstance(event, StreamEnded):
            a.done = True
        elif isinstance(event, StreamReset) and a is not None:
            a.done, a.reset = True, event.error_code
        elif isinstance(event, ConnectionTerminated):
            self.goaway = event.error_code
            self.conn.state_machine.state = ConnectionState.CLIENT_OPEN  # streams that are open go on

    def until(self, condition):
        while not condition():
            self.read()

    def response(self, number):
        a = self.answers[number]
        self.until(lambda: a.done)
        if a.reset is not None:
            raise Closed(f"stream {number} was reset: {a.reset}")
        return a

    def request(self, method, target, headers=(), body=None):
        return self.response(self.ask(method, target, headers, body))

    def get(self, target, headers=()):
        return self.request("GET", target, headers)

    def post(self, target, body=b"", headers=()):
        return self.request("POST", target, headers, body)
