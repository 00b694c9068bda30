"""weirctl has nodes do things: drains, circuits, reloads; and files: config."""

import json

import pytest
from cluster import Cluster
from ctl import normal, shown, weirctl
from harness import Process, program, wait_for


@pytest.fixture
def pair(stage, mock):
    cluster = Cluster(stage, shard_count=24, redis_timeout=5)  # a busy machine's store is not away
    circuits = {"circuit_breaker": {"failure_threshold": 5, "recovery_timeout": 60}}
    cluster.nodes(2, {"mock": {"base_url": mock.url}}, http_client=circuits)
    return cluster


def row(node, of):
    return next(n for n in shown("nodes", node=node)["nodes"] if n["id"] == of.id)


def test_drain_waits_for_the_last_request(stage, pair, mock):
    a, b = pair.members
    mock.plan(gate="g")
    with b.client() as client:
        client.ask("GET", "/v1/models")
        mock.wait_waiting("g")
        # One that does not wait says what is left.
        done = weirctl("drain", b.id, node=a)
        assert done.returncode == 0 and done.stdout.startswith(f"{b.id} drains: ") and not done.stderr
        argv = [program("weirctl"), "drain", b.id, "--wait", "-o", "json", "--node", f"http://127.0.0.1:{a.port}"]
        waiting = Process(argv, stage.scratch, "waiting")
        stage.running.append(waiting.finish)
        wait_for(lambda: row(a, b)["shards"] == 0 and row(a, b)["load"]["in_flight"] == 1, "the request alone to be left")
        assert waiting.alive()
        mock.steps("g", "all")
        assert client.response().status == 200
    assert waiting.wait() == 0
    waiting.stopped = True
    assert json.loads(waiting.out) == {"schema": 1, "node": b.id, "state": "draining", "shards": 0, "in_flight": 0}
    done = weirctl("undrain", b.id, node=a)
    assert done.returncode == 0 and done.stdout == f"{b.id} takes part again\n"
    assert row(a, b)["state"] == "active"


def test_the_asked_node_itself_is_drained(pair):
    a, _ = pair.members
    done = weirctl("drain", a.id, "--wait", node=a)
    assert done.returncode == 0 and done.stdout == f"{a.id} has drained: no shards, no requests\n"


def test_a_node_that_is_not_there(pair):
    done = weirctl("drain", "n9", node=pair.members[0])
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "weirctl: no living node has the id n9; there are n1, n2\n  weirctl nodes lists them.\n"


def test_circuits(pair, mock):
    a, b = pair.members

    def states(node):
        return {r["state"] for r in shown("breakers", node=node)["breakers"]}

    wait_for(lambda: all(r["shared"] for n in (a, b) for r in shown("breakers", node=n)["breakers"]), "shared circuits")
    done = weirctl("breaker", "open", mock.url, node=a)
    assert done.returncode == 0 and normal(done.stdout) == ["open  http://127.0.0.1:PORT"]
    wait_for(lambda: states(a) == states(b) == {"open"}, "both to have it open")
    done = weirctl("breaker", "close", "mock", "-o", "json", node=b)  # by the provider's name
    assert json.loads(done.stdout) == {"schema": 1, "circuits": [{"endpoint": mock.url, "state": "closed", "providers": ["mock"]}]}
    wait_for(lambda: states(a) == states(b) == {"closed"}, "both to have it closed")
    assert weirctl("breaker", "reset", "mock", node=a).returncode == 0
    for what in ("nobody", "http://127.0.0.1:1"):
        done = weirctl("breaker", "open", what, node=a)
        assert done.returncode == 1 and not done.stdout and what in done.stderr


def test_a_circuit_of_several_providers(stage, mock):
    """Who has one opened hears whose it is besides."""
    other = stage.mock()
    both, alone = {"endpoints": [{"url": mock.url}, {"url": other.url}]}, {"base_url": mock.url}
    node = stage.node({"both": both, "twin": alone, "third": alone}, http_client={"circuit_breaker": {"failure_threshold": 5}})
    done = weirctl("breaker", "open", "both", node=node)
    assert done.returncode == 0, done.stderr
    assert sorted(normal(done.stdout)) == ["open  http://127.0.0.1:PORT", "open  http://127.0.0.1:PORT (also of twin, third)"]
    assert all(r["state"] == "open" for r in shown("breakers", node=node)["breakers"])
    assert normal(weirctl("breaker", "close", mock.url, node=node).stdout) == ["closed  http://127.0.0.1:PORT (of both, twin, third)"]
    value = shown("breaker", "reset", "twin", node=node)
    assert value["circuits"] == [{"endpoint": mock.url, "state": "closed", "providers": ["both", "twin", "third"]}]


def test_reload(stage, mock):
    node = stage.node(mock)
    done = weirctl("reload", node=node)
    assert done.returncode == 0 and "has read its file again" in done.stdout
    node.config_path.write_text("server: {listen: nowhere}\n")
    done = weirctl("reload", node=node)
    assert done.returncode == 2 and not done.stdout
    assert "goes on as it was" in done.stderr and "server.listen" in done.stderr and "config check" in done.stderr


def test_config(tmp_path):
    a, b, bad = tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "bad.yaml"
    a.write_text("providers: {x: {base_url: 'http://127.0.0.1:9', api_key: hush-a}}\n")
    b.write_text("providers: {x: {base_url: 'http://127.0.0.1:9', api_key: hush-b, connection_pool: {max_connections: 7}}}\n")
    bad.write_text("server:\n  listn: x\n")
    done = weirctl("config", "check", str(a))
    assert done.returncode == 0 and done.stdout == f"{a} is valid\n"
    done = weirctl("config", "check", str(bad))
    assert done.returncode == 2 and not done.stdout
    assert f'{bad}:2: error: server.listn: unknown key; the nearest known one is "listen"' in done.stderr
    done = weirctl("config", "print", str(a))
    assert done.returncode == 0 and "max_connections: 200" in done.stdout and "hush" not in done.stdout
    done = weirctl("config", "diff", str(a), str(b))
    lines = normal(done.stdout)
    assert done.returncode == 0 and lines[0] == "KEY  BEFORE  AFTER" and "hush" not in done.stdout
    assert any(line.startswith("providers.x.") and "max_connections  200  7" in line for line in lines)
    assert normal(weirctl("config", "diff", str(a), str(a)).stdout) == ["nothing differs"]
    value = json.loads(weirctl("config", "diff", str(a), str(b), "-o", "json").stdout)
    assert {"from": "200", "to": "7"}.items() <= next(c for c in value["changes"] if c["key"].endswith("max_connections")).items()
    for words in (("check",), ("diff", str(a)), ("check", str(a), str(b)), ("mend", str(a))):
        assert weirctl("config", *words).returncode == 2
    assert weirctl("config", "check", str(tmp_path / "none")).returncode == 2


def test_a_certificate_that_is_not_there(tmp_path):
    file = tmp_path / "tls.yaml"
    certificate = "{cert_file: /none.pem, key_file: /none.key}"
    file.write_text(f"server: {{tls: {{certificates: [{certificate}]}}}}\nproviders: {{x: {{base_url: 'http://127.0.0.1:9'}}}}\n")
    done = weirctl("config", "check", str(file))
    assert done.returncode == 2 and not done.stdout and "/none.pem" in done.stderr
