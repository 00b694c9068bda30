"""A port whose queue of connections is full and that nobody accepts from: further connects hang."""

import socket


class Jammed:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.held = []

    def __enter__(self):
        for _ in range(3):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.port))
            self.held.append(s)
        return self

    def __exit__(self, *_):
        for s in [*self.held, self.listener]:
            s.close()
