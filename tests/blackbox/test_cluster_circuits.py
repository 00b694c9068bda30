"""One circuit for all nodes: what opens it, what opens only one node's, and who finds out that it is well again."""

import re
import threading

from cluster import Cluster, ask, told
from harness import wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WRONG = b"HTTP/1.1 500 Wrong\r\nContent-Length: 2\r\n\r\nno"
FAILS = [("x-fail", "1")]
LONG_S = 600


class Endpoint:
    """Fails whom it is told to, and holds who comes to the gate."""

    def __init__(self, stage):
        self.sick = False
        self.gate = threading.Event()
        self.gate.set()
        self.inside = self.most = self.asked = 0
        self.lock = threading.Lock()
        self.up = stage.upstream(self._serve)
        self.url = self.up.url

    def _serve(self, wire, _):
        while True:
            request = wire.request()
            with self.lock:
                self.inside += 1
                self.asked += 1
                self.most = max(self.most, self.inside)
            self.gate.wait()
            with self.lock:
                self.inside -= 1
            wire.send(WRONG if self.sick or request.get("x-fail") else OK)


def breaker(recovery_s):
    return {"circuit_breaker": {"failure_threshold": 5, "recovery_timeout": recovery_s}}


def cluster_of(stage, endpoint, count=3, recovery_s=LONG_S):
    cluster = Cluster(stage, connection_affinity="round_robin", redis_timeout=1)  # a loaded machine is no slow store
    nodes = cluster.nodes(count, {"p": {"base_url": endpoint.url}}, http_client=breaker(recovery_s))
    for n in nodes:
        wait_for(lambda n=n: circuit(n)["shared"], f"{n.name} to share the circuit")
    return cluster, nodes


def circuit(node):
    return node.get("/api/cluster/breakers").json()["breakers"][0]


def witnesses(cluster, endpoint):
    said = cluster.redis.field("weir:{default}:circuits:state", endpoint.url)
    return len(re.findall(r"\d+@(?!0)", said.split("witnesses=")[1]))


def is_open(r):
    return r.status == 503 and r.get("x-weir-error") == "circuit_open"


def fail(node, times):
    for _ in range(times):
        assert ask(node, headers=FAILS).status == 500


def test_what_one_node_sees_opens_it_everywhere(stage):
    endpoint = Endpoint(stage)
    cluster, (a, b, c) = cluster_of(stage, endpoint)
    fail(a, 5)
    for n in (b, c):
        told = n.wait_only_events("circuit_opened")[0]
        assert told["by"] == a.id and told["reason"] == "cluster"
        assert is_open(ask(n))
    assert a.wait_only_events("circuit_opened")[0]["reason"] == "consecutive_failures"
    assert endpoint.asked == 5
    for n in (a, b, c):
        assert n.metric("weir_circuit_transitions_total", to="open") == 1


def test_failures_of_several_nodes_add_up(stage):
    endpoint = Endpoint(stage)
    cluster, nodes = cluster_of(stage, endpoint)
    for n, times in zip(nodes, (2, 2, 1)):  # no more than it takes: the store may have opened it before the next one
        fail(n, times)
    for n in nodes:
        n.wait_only_events("circuit_opened")
        assert is_open(ask(n))


def test_a_node_that_fails_alone_opens_its_own(stage):
    endpoint = Endpoint(stage)
    cluster, (a, b, c) = cluster_of(stage, endpoint)
    for _ in range(4):
        assert ask(b).status == ask(c).status == 200
    wait_for(lambda: witnesses(cluster, endpoint) == 2, "the successes to be reported")
    fail(a, 5)
    a.wait_only_events("circuit_opened")
    a.wait_only_events("circuit_kept_closed")
    assert is_open(ask(a))
    assert ask(b).status == ask(c).status == 200
    assert not b.events("circuit_opened") and not c.events("circuit_opened")


def test_one_probe_in_the_whole_cluster(stage):
    endpoint = Endpoint(stage)
    cluster, nodes = cluster_of(stage, endpoint, recovery_s=1)
    endpoint.sick = True
    fail(nodes[0], 5)
    for n in nodes:
        n.wait_events("circuit_opened")
    endpoint.gate.clear()
    endpoint.most = 0
    answers = []

    def client(n):
        answers.append(ask(n))

    threads = []

    def hammer():
        """All nodes at once, over and over, until a probe is there; the others are refused."""
        for n in nodes:
            threads.append(threading.Thread(target=client, args=(n,)))
            threads[-1].start()
        return endpoint.inside > 0

    wait_for(hammer, "a probe")
    for _ in range(10):
        hammer()
    wait_for(lambda: len(answers) == len(threads) - 1, "all but the probe to be refused")
    assert all(is_open(r) for r in answers)
    endpoint.sick = False
    endpoint.gate.set()
    for t in threads:
        t.join()
    assert endpoint.most == 1
    for n in nodes:
        n.wait_events("circuit_closed")
        assert ask(n).status == 200


def test_a_single_request_finds_out(stage):
    """Who comes when the wait is over is the probe, though the store has to be asked first: it is not refused."""
    endpoint = Endpoint(stage)
    cluster, (a, b) = cluster_of(stage, endpoint, count=2, recovery_s=1)

    def finds_out():
        """Or not, where the store takes longer than a request waits for it: then all of it once more."""
        wait_for(lambda: circuit(a)["state"] == circuit(b)["state"] == "closed", "the circuit to be closed")
        fail(a, 5)
        wait_for(lambda: circuit(b)["state"] == "open", "it to be open")
        wait_for(lambda: not circuit(b).get("retry_in_seconds"), "the wait to be over")
        found = ask(b).status == 200
        wait_for(lambda: found or ask(b).status == 200, "it to be served later")
        return found

    wait_for(finds_out, "the first request to be served")
    for n in (a, b):
        n.wait_events("circuit_closed")


def test_few_requests_find_out_beside_another_endpoint(stage):
    """Who asks first is served by the other endpoint, and nobody comes in time to use the permit: it goes back, and the
    next request that asks for one waits for it (or one after that, where the answer takes longer than it may wait)."""
    one, two = Endpoint(stage), Endpoint(stage)
    cluster = Cluster(stage, connection_affinity="round_robin")
    endpoints = {"p": {"endpoints": [{"url": one.url}, {"url": two.url}]}}
    (a,) = cluster.nodes(1, endpoints, http_client={**breaker(1), "retry": {"attempts": 1, "backoff_factor": 0}})

    def of_one():
        return next(c for c in a.get("/api/cluster/breakers").json()["breakers"] if c["endpoint"] == one.url)

    def is_out():
        permits = "string.match(redis.call('HGET',KEYS[1],ARGV[1]),'permits=(%S*)')"
        return cluster.redis.ask(f'EVAL "return {permits}" 1 weir:{{default}}:circuits:state {one.url}') != "$0"

    def fails():
        ask(a)
        return of_one()["state"] == "open"

    def asks():
        assert ask(a).status == 200
        return is_out() or of_one()["state"] == "closed"

    wait_for(lambda: of_one()["shared"], "the circuit to be shared")
    one.sick = True
    wait_for(fails, "the circuit to open")
    one.sick = False
    wait_for(lambda: not of_one().get("retry_in_seconds"), "the wait to be over")
    wait_for(asks, "a permit")
    for _ in range(20):
        wait_for(lambda: not is_out(), "the permit to go back")
        assert ask(a).status == 200
        wait_for(lambda: is_out() or of_one()["state"] == "closed", "a permit, or the circuit to close")
    assert of_one()["state"] == "closed"


def of_circuits(node):
    return [e["event"] for e in told(node) if e["event"].startswith("circuit_")]


def test_each_change_is_one_event_of_the_cluster(stage):
    endpoint = Endpoint(stage)
    cluster, nodes = cluster_of(stage, endpoint, recovery_s=1)
    a, b, c = nodes
    endpoint.sick = True
    fail(a, 5)
    for n in nodes:
        wait_for(lambda n=n: told(n, "circuit_opened"), f"{n.name} to hear that the circuit is open")
        ask(n)
    (event,) = told(c, "circuit_opened")
    assert (event["endpoint"], event["reason"], event["node"]) == (endpoint.url, "consecutive_failures", a.id)
    endpoint.sick = False

    def is_closed():
        ask(b)
        return told(b, "circuit_closed")

    wait_for(is_closed, "the circuit to close")
    wanted = ["circuit_opened", "circuit_half_open", "circuit_closed"]
    for n in nodes:
        wait_for(lambda n=n: "circuit_closed" in of_circuits(n), f"{n.name} to hear that it is closed")
        # Every node has asked while it was sick, and a probe may have come too early.
        shown = of_circuits(n)
        assert shown == of_circuits(a) and shown[:1] + shown[-2:] == wanted
        assert all(before != after for before, after in zip(shown, shown[1:])), shown
        # The log tells of what this node has seen: later than the store, and not of what was over before it looked.
        n.wait_events("circuit_closed")
        assert all(len(n.events(name)) <= shown.count(name) for name in wanted), shown


def test_failures_are_no_events(stage):
    endpoint = Endpoint(stage)
    cluster, (a, b) = cluster_of(stage, endpoint, count=2)
    for _ in range(10):
        fail(a, 4)
        assert ask(a).status == 200
    fail(a, 5)
    for n in (a, b):
        wait_for(lambda n=n: of_circuits(n), f"the event on {n.name}")
    assert of_circuits(b) == of_circuits(a) == ["circuit_opened"]


def test_a_circuit_that_is_not_monitored_is_no_event(stage):
    endpoint = Endpoint(stage)
    cluster = Cluster(stage, connection_affinity="round_robin")
    quiet = {"circuit_breaker": {"failure_threshold": 5, "recovery_timeout": LONG_S, "monitoring_enabled": False}}
    a, b = cluster.nodes(2, {"p": {"base_url": endpoint.url}}, http_client=quiet)
    wait_for(lambda: circuit(a)["shared"] and circuit(b)["shared"], "the circuit to be shared")
    fail(a, 5)
    wait_for(lambda: circuit(b)["state"] == "open", "the circuit to open")
    cluster.leave(cluster.node({"p": {"base_url": endpoint.url}}, name="n3", http_client=quiet))
    wait_for(lambda: len(told(b, "node_joined")) == 3, "a later event")
    assert of_circuits(b) == []


def test_a_restarted_node_does_not_reset_it(stage):
    endpoint = Endpoint(stage)
    cluster, (a, b, c) = cluster_of(stage, endpoint)
    fail(a, 5)
    c.wait_events("circuit_opened")
    cluster.leave(a)
    again = cluster.node({"p": {"base_url": endpoint.url}}, name="n1", http_client=breaker(LONG_S))
    again.wait_events("circuit_opened")
    assert is_open(ask(again)) and is_open(ask(b)) and is_open(ask(c))


def test_a_circuit_that_the_store_has_dropped_begins_anew(stage):
    """By hand, by an eviction, or for want of room: who has it open finds out with the next question, and goes on."""
    endpoint = Endpoint(stage)
    cluster, (a, b) = cluster_of(stage, endpoint, count=2, recovery_s=1)
    for _ in range(2):  # so that its generation is above that of one that has just begun
        fail(a, 5)
        for n in (a, b):
            wait_for(lambda n=n: circuit(n)["state"] != "closed", f"the circuit to be open on {n.name}")
        wait_for(lambda: ask(a).status == 200, "a probe to close it")
    fail(a, 5)
    for n in (a, b):
        wait_for(lambda n=n: circuit(n)["state"] != "closed", f"the circuit to be open on {n.name}")
    for key in ("circuits", "circuits:state"):
        assert cluster.redis.ask(f"DEL weir:{{default}}:{key}") == ":1"
    for n in (a, b):
        wait_for(lambda n=n: ask(n).status == 200, f"{n.name} to be served again")
        wait_for(lambda n=n: circuit(n)["state"] == "closed", f"the circuit to be closed on {n.name}")


def test_a_cooldown_is_for_all(stage):
    up = stage.upstream([b"HTTP/1.1 429 Busy\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n"])
    cluster, (a, b) = cluster_of(stage, up, count=2)
    assert ask(a).status == 429
    b.wait_only_events("circuit_cooling")
    assert is_open(ask(b))
    for n in (a, b):
        wait_for(lambda n=n: told(n, "circuit_cooling"), f"{n.name} to hear the event")
        (event,) = told(n, "circuit_cooling")
        assert (event["reason"], event["node"]) == ("retry_after", a.id)


def test_the_store_goes_and_each_decides_alone(stage):
    endpoint = Endpoint(stage)
    cluster, (a, b) = cluster_of(stage, endpoint, count=2)
    cluster.redis.freeze()
    cluster.wait_contact(0)
    fail(a, 5)
    a.wait_events("circuit_opened")
    assert is_open(ask(a)) and ask(b).status == 200
    cluster.redis.thaw()
    cluster.wait_contact(1)
    wait_for(lambda: circuit(a)["shared"] and circuit(b)["shared"], "the circuit to be shared again")
    assert ask(b).status == 200


def test_a_store_that_was_frozen_as_it_was_asked_for_a_probe(stage):
    """What waited in its socket is carried out when it runs again: no permit is out then that nobody will use."""
    endpoint = Endpoint(stage)
    cluster, (a,) = cluster_of(stage, endpoint, count=1, recovery_s=1)
    fail(a, 5)
    wait_for(lambda: circuit(a)["state"] == "open" and not circuit(a).get("retry_in_seconds"), "the wait to be over")
    asked = a.metric("weir_cluster_store_requests_total", op="report")
    cluster.redis.freeze()
    assert is_open(ask(a))
    assert a.metric("weir_cluster_store_requests_total", op="report") > asked
    cluster.wait_contact(0)
    wait_for(lambda: ask(a).status == 200, "it to be served alone")
    cluster.redis.thaw()
    cluster.wait_contact(1)
    wait_for(lambda: ask(a).status == 200 and circuit(a)["shared"], "it to be served by a permit", 20)
    wait_for(lambda: circuit(a)["state"] == "closed", "the circuit to close")


def test_a_probe_that_ends_while_the_store_is_frozen(stage):
    """Its permit is out still when the store is back: how it ended is told then, and nobody waits until it expires."""
    endpoint = Endpoint(stage)
    cluster, (a, b) = cluster_of(stage, endpoint, count=2, recovery_s=1)
    fail(a, 5)
    b.wait_events("circuit_opened")
    wait_for(lambda: not circuit(a).get("retry_in_seconds"), "the wait to be over")
    endpoint.gate.clear()
    answers = []

    def ask_until_served():
        """The first may be refused, where the store takes longer than a request waits for it."""
        while is_open(answer := ask(a)):
            pass
        answers.append(answer)

    probe = threading.Thread(target=ask_until_served, daemon=True)
    probe.start()
    wait_for(lambda: endpoint.inside == 1, "the probe")
    cluster.redis.freeze()
    cluster.wait_contact(0)
    endpoint.gate.set()
    probe.join()
    assert answers[0].status == 200
    cluster.redis.thaw()
    cluster.wait_contact(1)
    for n in (a, b):
        wait_for(lambda n=n: ask(n).status == 200 and circuit(n)["shared"], f"{n.name} to be served", 20)
        wait_for(lambda n=n: circuit(n)["state"] == "closed", f"the circuit to close on {n.name}")


def test_an_endpoint_is_checked_by_one_node(stage):
    up = stage.upstream([OK])
    # Who takes the store for lost, or others for dead, checks by itself.
    patient = {"redis_timeout": 1, "failover_timeout": 6}
    cluster = Cluster(stage, connection_affinity="round_robin", health_check_interval=0.3, **patient)
    health = {"health": {"enabled": True, "path": "/health", "unhealthy_threshold": 2}}
    nodes = cluster.nodes(3, {"p": {"base_url": up.url}}, http_client=health)

    def counts():
        return [n.metric("weir_health_checks_total") for n in nodes]

    before = counts()
    wait_for(lambda: max(b - a for a, b in zip(before, counts())) >= 5, "five checks")
    made = [b - a for a, b in zip(before, counts())]
    assert sorted(made)[:2] == [0, 0], made
    up.close()
    for n in nodes:
        n.wait_events("endpoint_unhealthy")
