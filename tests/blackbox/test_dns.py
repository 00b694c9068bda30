"""Providers by name, asked of a name server that the test plays."""

import collections
import re
import socket
import struct
import threading
import time

import pytest
from harness import wait_for
from load import Load

A, CNAME, AAAA = 1, 5, 28
# Longer than any time to live in here, shorter than the 30 s after which names are asked for anyway.
SOON_S = 20


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class NameServer:
    """Answers A and AAAA from a table (others: no such data), in the words of RFC 1035; NXDOMAIN for what is not there."""

    def __init__(self):
        self.names = {}
        self.aliases = {}  # name: (what it is another name of, for how many seconds)
        self.ttl = 1
        self.silent = False
        self.asked = collections.Counter()  # A questions
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
            answer = self._answer(question)
            if not self.silent:
                self.socket.sendto(answer, peer)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack(">H", question[at + 1 : at + 3])[0]
        name = ".".join(labels).lower()
        self.asked[name] += kind == A
        records = b""
        count = 0
        known = name in self.names or name in self.aliases
        if name in self.aliases:
            target, ttl = self.aliases[name]
            rest = encoded(target)
            records += encoded(name) + struct.pack(">HHIH", CNAME, 1, ttl, len(rest)) + rest
            name = target
            count += 1
        for address in self.names.get(name, []):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            if kind == (AAAA if family == socket.AF_INET6 else A):
                data = socket.inet_pton(family, address)
                records += encoded(name) + struct.pack(">HHIH", kind, 1, self.ttl, len(data)) + data
                count += 1
        head = question[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, count, 0, 0)
        return head + question[12 : at + 5] + records

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self.socket.getsockname())
        self.thread.join(10)
        self.socket.close()


@pytest.fixture
def names():
    n = NameServer()
    yield n
    n.close()


class Hung:
    """An address whose host swallows what is sent to it: its queue of connections is full, so SYNs go unanswered."""

    def __init__(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sockets = [socket.socket(family)]
        self.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sockets[0].bind((address, port))
        self.sockets[0].listen(0)
        for _ in range(4):
            s = socket.socket(family)
            s.setblocking(False)
            s.connect_ex((address, port))
            self.sockets.append(s)
        time.sleep(0.05)  # the kernel completes those that fit; the others wait for good

    def close(self):
        for s in self.sockets:
            s.close()


class Dropper:
    """Accepts, reads a little, and resets; not before `let_go` is set."""

    def __init__(self, address, port):
        self.let_go = threading.Event()
        self.let_go.set()
        self.listener = socket.create_server((address, port))
        self.accepted = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            s.recv(65536)
            self.let_go.wait(30)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()

    def close(self):
        self.let_go.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)


def status(node):
    with node.client() as c:
        r = c.get("/echo")
        return r.status, r.get("x-weir-error")


def test_a_name_is_asked_of_the_configured_server(stage, mock, names):
    names.names["provider.weir.test"] = ["127.0.0.1"]
    node = stage.node(f"http://provider.weir.test:{mock.port}", dns={"servers": [names.address]})
    assert status(node) == (200, None)
    assert names.asked["provider.weir.test"] > 0


def test_a_name_that_comes_up_later_is_found(stage, mock, names):
    node = stage.node(f"http://late.weir.test:{mock.port}", dns={"servers": [names.address], "refresh": 0.1})
    assert status(node) == (502, "dns_failed")
    names.names["late.weir.test"] = ["127.0.0.1"]
    wait_for(lambda: status(node) == (200, None), "the name to be found")
    node.wait_events("dns_works")


def test_what_is_known_stays_in_use_while_the_server_forgets(stage, mock, names):
    names.names["kept.weir.test"] = ["127.0.0.1"]
    node = stage.node(f"http://kept.weir.test:{mock.port}", dns={"servers": [names.address], "refresh": 0.1})
    assert status(node) == (200, None)
    names.names.clear()
    node.wait_events("dns_failed")
    asked = names.asked["kept.weir.test"]
    wait_for(lambda: names.asked["kept.weir.test"] > asked + 3, "more questions")
    assert status(node) == (200, None)
    assert len(node.events("dns_failed")) == 1
    names.names["kept.weir.test"] = ["127.0.0.1"]
    node.wait_events("dns_works")
    assert len(node.events("dns_failed")) == len(node.events("dns_works")) == 1
    assert not node.events("endpoint_addresses")


def test_a_change_moves_traffic_and_ends_old_connections(stage, names):
    old = stage.mock(name="old")
    new = stage.mock(name="new", listen=f"127.0.0.2:{old.port}")
    names.names["moving.weir.test"] = ["127.0.0.1"]
    names.ttl = 2
    node = stage.node(f"http://moving.weir.test:{old.port}", server={"workers": 2}, dns={"servers": [names.address]})
    load = Load(node)
    load.more(100)
    with node.client() as slow:
        slow.ask("GET", "/echo", [("x-mock-gate", "g")])
        old.wait_waiting("g")
        names.names["moving.weir.test"] = ["127.0.0.2"]
        wait_for(lambda: new.stats()["requests"]["total"] > 0, "traffic to move", SOON_S)
        # All but the one that is busy, and nothing new comes.
        wait_for(lambda: old.stats()["connections"]["open"] == 1, "the old connections to end")
        asked = old.stats()["requests"]["total"]
        load.more(100)
        assert old.stats()["requests"]["total"] == asked
        old.steps("g", "all")
        assert slow.response().status == 200
        wait_for(lambda: old.stats()["connections"]["open"] == 0, "the last old connection to end")
    load.end()
    assert node.metric("weir_pool_connections_closed_total", reason="moved") >= 2
    (line,) = node.events("endpoint_addresses")
    assert (line["old"], line["new"]) == (f"127.0.0.1:{old.port}", f"127.0.0.2:{old.port}")


def test_a_silent_resolver_is_not_noticed(stage, mock, names):
    names.names["quiet.weir.test"] = ["127.0.0.1"]
    node = stage.node(f"http://quiet.weir.test:{mock.port}", dns={"servers": [names.address]})
    load = Load(node)
    names.silent = True
    node.wait_events("dns_failed", bound=2 * SOON_S)
    asked = names.asked["quiet.weir.test"]
    wait_for(lambda: names.asked["quiet.weir.test"] > asked + 1, "another question", 2 * SOON_S)
    load.more(100)
    names.silent = False
    node.wait_events("dns_works", bound=2 * SOON_S)
    load.end()
    assert len(node.events("dns_failed")) == len(node.events("dns_works")) == 1


def test_an_alias_is_asked_again_when_its_own_time_is_over(stage, mock, names):
    names.names["real.weir.test"] = ["127.0.0.1"]
    names.ttl = 3600
    names.aliases["alias.weir.test"] = ("real.weir.test", 1)
    node = stage.node(f"http://alias.weir.test:{mock.port}", dns={"servers": [names.address]})
    assert status(node) == (200, None)
    wait_for(lambda: names.asked["alias.weir.test"] >= 3, "it to be asked again", SOON_S)


def test_without_the_cache_each_connection_asks(stage, names):
    first = stage.mock()
    second = stage.mock(listen=f"127.0.0.2:{first.port}")
    names.names["fresh.weir.test"] = ["127.0.0.1"]
    names.ttl = 3600
    features = {"dns_cache_enabled": False, "connection_reuse": False}
    node = stage.node(
        f"http://fresh.weir.test:{first.port}",
        dns={"servers": [names.address], "refresh": 3600},
        http_client={"features": features},
    )
    for _ in range(5):
        before = names.asked["fresh.weir.test"]
        assert status(node) == (200, None)
        assert names.asked["fresh.weir.test"] > before  # once, unless the answer is late
    names.names["fresh.weir.test"] = ["127.0.0.2"]
    assert status(node) == (200, None)
    assert (first.stats()["requests"]["total"], second.stats()["requests"]["total"]) == (5, 1)
    # What is known serves while nobody answers.
    names.names.clear()
    assert status(node) == (200, None)
    assert first.stats()["requests"]["total"] == 6
    assert not any("dns_cache" in line["key"] for line in node.events("config_warning"))


def test_without_the_cache_what_is_known_serves_while_nobody_answers(stage, mock, names):
    names.names["slow.weir.test"] = ["127.0.0.1"]
    names.ttl = 3600
    node = stage.node(
        f"http://slow.weir.test:{mock.port}",
        dns={"servers": [names.address]},
        http_client={"features": {"dns_cache_enabled": False}, "timeout": {"connect": 1}},
    )
    names.silent = True
    # The question takes its part of the clock; a node that stands still for the rest of it does not come to its dial.
    wait_for(lambda: status(node) == (200, None), "an answer without one of the name server's")


def three(stage, names, **options):
    """A name with three addresses, of which two work; and the port."""
    good = stage.mock()
    other = stage.mock(listen=f"127.0.0.2:{good.port}")
    names.names["three.weir.test"] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    names.ttl = 3600
    options.setdefault("http_client", {"features": {"connection_reuse": False}})
    node = stage.node(f"http://three.weir.test:{good.port}", dns={"servers": [names.address]}, **options)
    return node, good, other


def ask_until_avoided(node):
    def avoided():
        for _ in range(10):
            assert status(node) == (200, None), status(node)
        return node.events("address_avoided")

    (line,) = wait_for(avoided, "the address to be avoided", SOON_S)
    assert line["address"].startswith("127.0.0.3:")


def test_a_name_s_addresses_share_the_load(stage, names):
    node, good, other = three(stage, names)
    names.names["three.weir.test"] = ["127.0.0.1", "127.0.0.2"]
    for _ in range(30):
        assert status(node) == (200, None)
    counts = good.stats()["requests"]["total"], other.stats()["requests"]["total"]
    assert sum(counts) == 30 and min(counts) >= 10, counts


def test_one_dead_address_is_nobody_s_error(stage, names):
    node, *_ = three(stage, names)
    ask_until_avoided(node)
    health = node.get("/health/connections")
    assert re.search(r'"addresses_failed": ?1\b', health.text), health.text


def test_one_hung_address_is_nobody_s_error(stage, names):
    node, good, _ = three(stage, names)
    hung = Hung("127.0.0.3", good.port)
    try:
        ask_until_avoided(node)
    finally:
        hung.close()


def test_one_address_that_drops_what_it_accepts_is_nobody_s_error(stage, names):
    retry = {"enabled": True, "attempts": 3, "backoff_factor": 0}
    node, good, _ = three(stage, names, http_client={"retry": retry, "features": {"connection_reuse": False}})
    dropper = Dropper("127.0.0.3", good.port)
    try:
        ask_until_avoided(node)
        accepted = dropper.accepted
        for _ in range(10):
            assert status(node) == (200, None)
        assert dropper.accepted == accepted
    finally:
        dropper.close()


def test_a_retry_at_the_same_endpoint_goes_to_another_address(stage, mock, names):
    names.names["two.weir.test"] = ["127.0.0.1", "127.0.0.3"]
    names.ttl = 3600
    retry = {"enabled": True, "attempts": 1, "backoff_factor": 0}
    node = stage.node(
        f"http://two.weir.test:{mock.port}",
        dns={"servers": [names.address]},
        http_client={"retry": retry, "features": {"connection_reuse": False}},
    )
    dropper = Dropper("127.0.0.3", mock.port)
    dropper.let_go.clear()
    try:
        with node.client() as c:
            c.ask("GET", "/echo")
            wait_for(lambda: dropper.accepted or mock.stats()["requests"]["total"], "the request to be somewhere")
            if not dropper.accepted:  # it was the other one's turn
                assert c.response().status == 200
                c.ask("GET", "/echo")
                wait_for(lambda: dropper.accepted, "the request to be there")
            assert status(node) == (200, None)  # which makes it this one's turn again
            dropper.let_go.set()
            assert c.response().status == 200
        assert dropper.accepted == 1
    finally:
        dropper.close()


@pytest.mark.parametrize("hangs", [False, True])
def test_a_dead_ipv6_address_costs_nobody_an_answer(stage, mock, names, hangs):
    names.names["dual.weir.test"] = ["::1", "127.0.0.1"]
    hung = Hung("::1", mock.port) if hangs else None
    try:
        node = stage.node(f"http://dual.weir.test:{mock.port}", dns={"servers": [names.address]})
        for _ in range(3):
            assert status(node) == (200, None)
    finally:
        if hung is not None:
            hung.close()


def test_an_old_connection_ends_though_it_is_parked(stage, mock):
    node = stage.node(mock, http_client={"pool_limits": {"max_lifetime": 1}})
    assert status(node) == (200, None)
    wait_for(lambda: mock.stats()["connections"]["open"] == 0, "the connection to end")
    assert node.metric("weir_pool_connections_closed_total", reason="lifetime") == 1


def test_latencies_are_kept_by_endpoint(stage, mock, names):
    names.names["timed.weir.test"] = ["127.0.0.1"]
    node = stage.node(f"http://timed.weir.test:{mock.port}", dns={"servers": [names.address]})
    assert status(node) == (200, None)
    text = node.get("/debug/network/latency").text
    for stage_name in ("dns", "connect", "first_byte"):
        assert stage_name in text
