"""What a stream feels: how long a token takes through the proxy, and how soon the upstream hears that the client left."""

import socket
import threading
import time

from load import quantile

TOKENS = 20
TOKEN_GAP_S = 0.01
WAIT_S = 5
END_WAIT_S = 0.5  # a proxy that does not watch for a client that leaves is not waited for longer
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUEST = b"GET /sse HTTP/1.1\r\nHost: bench\r\n\r\n"


class Upstream:
    """Answers each connection with stamped tokens, then waits for its end; both ends of the wire are in this process, so one
    clock serves."""

    address = "127.0.0.1"

    def __init__(self):
        self._socket = socket.create_server((self.address, 0))
        self.port = self._socket.getsockname()[1]
        self.ended = threading.Event()
        self.ended_at = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not connection.recv(65536):
                return
            try:
                connection.sendall(HEAD)
                for _ in range(TOKENS):
                    time.sleep(TOKEN_GAP_S)
                    event = b"data: %.9f\n\n" % time.monotonic()
                    connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
                connection.recv(1)  # nothing but the end comes
            except OSError:
                pass
            self.ended_at = time.monotonic()
            self.ended.set()

    def close(self):
        self._socket.close()


def _one_stream(proxy, upstream):
    """Delays of the tokens, and of the end, in milliseconds."""
    delays, rest = [], b""
    upstream.ended.clear()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=WAIT_S) as client:
        client.sendall(REQUEST)
        while len(delays) < TOKENS:
            rest += client.recv(65536)
            now = time.monotonic()
            while b"data: " in rest and b"\n\n" in rest.split(b"data: ", 1)[1]:
                stamp, rest = rest.split(b"data: ", 1)[1].split(b"\n\n", 1)
                delays.append((now - float(stamp)) * 1000)
    left_at = time.monotonic()
    if not upstream.ended.wait(END_WAIT_S):
        return delays, END_WAIT_S * 1000
    return delays, (upstream.ended_at - left_at) * 1000


def run(starter, names, streams, say):
    """Streams one after the other through each proxy, the client closing after the last token."""
    say(f"stream: {streams} streams of {TOKENS} tokens")
    rows = []
    for name in names:
        upstream = Upstream()
        tokens, ends = [], []
        with starter.start(name, upstream) as proxy:
            for _ in range(streams):
                delays, end = _one_stream(proxy, upstream)
                tokens += delays
                ends.append(end)
        upstream.close()
        rows.append({"proxy": name, "token_p50_ms": quantile(tokens, 0.5), "token_p99_ms": quantile(tokens, 0.99),
                     "cancel_p50_ms": quantile(ends, 0.5), "cancel_max_ms": max(ends)})
    return {"streams": streams, "rows": rows}
