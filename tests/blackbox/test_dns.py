"""Providers by name, asked of a name server that the test plays."""

import socket
import struct
import threading

import pytest
from harness import wait_for


class NameServer:
    """Answers A questions from a table (others: no such data), in the words of RFC 1035; NXDOMAIN for what is not there."""

    def __init__(self):
        self.names = {}
        self.asked = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not question:
                return
            self.socket.sendto(self._answer(question), peer)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack(">H", question[at + 1 : at + 3])[0]
        name = ".".join(labels).lower()
        self.asked.add(name)
        addresses = self.names.get(name, []) if kind == 1 else []
        code = 0 if name in self.names else 3
        head = question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        body = question[12 : at + 5]
        for address in addresses:
            body += struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address)
        return head + body

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self.socket.getsockname())
        self.thread.join(10)
        self.socket.close()


@pytest.fixture
def names():
    server = NameServer()
    yield server
    server.close()


def status(node):
    with node.client() as c:
        r = c.get("/echo")
        return r.status, r.get("x-weir-error")


def test_a_name_is_asked_of_the_configured_server(stage, mock, names):
    names.names["provider.weir.test"] = ["127.0.0.1"]
    node = stage.node(f"http://provider.weir.test:{mock.port}", dns={"servers": [names.address]})
    assert status(node) == (200, None)
    assert "provider.weir.test" in names.asked


def test_a_name_that_comes_up_later_is_found(stage, mock, names):
    node = stage.node(f"http://late.weir.test:{mock.port}", dns={"servers": [names.address], "refresh": 0.1})
    assert status(node) == (502, "dns_failed")
    names.names["late.weir.test"] = ["127.0.0.1"]
    wait_for(lambda: status(node) == (200, None), "the name to be found")


def test_what_is_known_stays_in_use_while_the_server_forgets(stage, mock, names):
    names.names["kept.weir.test"] = ["127.0.0.1"]
    node = stage.node(f"http://kept.weir.test:{mock.port}", dns={"servers": [names.address], "refresh": 0.1})
    assert status(node) == (200, None)
    names.names.clear()
    wait_for(lambda: any(line.get("event") == "dns_failed" for line in node.log_lines()), "the node to notice")
    assert status(node) == (200, None)
