"""What each verb prints on a live cluster of three nodes, word for word: tests/golden/weirctl/VERB.txt, where `$` begins a
command and what follows it is what it printed. `--renew-golden` writes these files anew."""

import json

import pytest
from advice import Advice
from cluster import Cluster
from ctl import weirctl
from golden import assert_golden, with_placeholders
from harness import program, wait_for
from terminal import Terminal

FORMS = ("table", "wide", "json", "yaml")
# On a slow machine nobody is to be lost, and nothing to expire, before all has been asked for.
FAILOVER_S = 10
PATIENCE_S = 600
CONFIG = """\
server: {listen: "127.0.0.1:8000"}
providers:
  openai: {base_url: "https://api.openai.com", api_key: hush}
"""
CHANGED = CONFIG.replace("hush", "hush-hush") + "http_client: {retry: {attempts: 5}, pool_limits: {max_connections: 7}}\n"

# In this order: what a verb changes is seen by those after it.
COMMANDS = {
    **{verb: [f"{verb} -o {form}" for form in FORMS] for verb in ("status", "nodes", "shards", "breakers", "limits", "alerts")},
    "hints": [f"hints -o {form}" for form in FORMS],
    "pools": [f"pools -o {form}" for form in FORMS],
    "events": ["events -n 3", "events -n 3 -o wide", "events -n 1 -o json", "events -n 1 -o yaml"],
    "report": ["report", "report -o json"],
    "tune": ["tune --rps 100 --latency 1200", "tune --rps 100 --latency 1200 -o json", "tune --rps 100"],
    "config": [
        "config check FILE", "config check BAD", "config print FILE", "config diff FILE CHANGED",
        "config diff FILE CHANGED -o json", "config diff FILE FILE",
    ],
    "bench": ["bench NODE/v1/models --requests 4 --clients 1", "bench NODE/v1/models --requests 4 --clients 1 -o json"],
    "drain": ["drain n3 --wait", "drain n3 --wait -o json", "drain n9"],
    "undrain": ["undrain n3", "undrain n3 -o json"],
    "reload": ["reload", "reload -o json"],
}
ASK_NOBODY = ("tune", "config")
HELP = [*COMMANDS, "top", "completion"]


class Trio:
    """n1, n2, n3 and the coordinator c1; n1 is the one that is asked, and has served five requests. The hints are made up: they
    do not depend on the machine."""

    def __init__(self, stage, folder):
        mock = stage.mock()
        limit = {"requests_per_minute": 600, "burst": 20}
        pool = {"max_connections": 20, "keepalive_expiry": PATIENCE_S}
        patient = {"failover_timeout": FAILOVER_S, "redis_timeout": FAILOVER_S / 2}
        cluster = Cluster(stage, shard_count=24, connection_affinity="round_robin", **patient)
        sections = {
            "http_client": {"circuit_breaker": {"failure_threshold": 5}},
            "analytics": {"enabled": True},
            "alerting": {"interval": PATIENCE_S},
        }
        cluster.nodes(3, {"mock": {"base_url": mock.url, "rate_limit": limit, "connection_pool": pool}}, **sections)
        cluster.coordinator(coordinator={"id": "c1", "lease": FAILOVER_S})
        cluster.wait_map()
        self.node = cluster.members[0]
        for _ in range(5):  # each once the connection of the one before is back, so that there is one only
            assert self.node.get("/v1/models").status == 200
            wait_for(lambda: self.node.pool("mock")["connections_idle"] == 1, "the connection to be back")
        self.url = f"http://127.0.0.1:{self.node.port}"
        self.files = {"FILE": CONFIG, "CHANGED": CHANGED, "BAD": "server:\n  listn: x\n"}
        for name, text in self.files.items():
            (folder / f"{name}.yaml").write_text(text)
        self.folder = folder
        Advice(cluster.redis).publish(action="scale_up", desired=4, peak=7.5, peak_high=9.25)
        self.settle()

    def settle(self):
        """Until what the five requests have left behind has gone round: a beat's rate is of the time since the one before."""
        beats = lambda: self.node.metric("weir_cluster_store_requests_total", op="beat")  # noqa: E731
        before = beats()

        def still():
            assert beats() >= before + 3
            rows = json.loads(weirctl("nodes", "-o", "json", node=self.node).stdout)["nodes"]
            breakers = json.loads(weirctl("breakers", "-o", "json", node=self.node).stdout)["breakers"]
            assert [row["load"]["requests_per_second"] for row in rows] == [0, 0, 0]
            assert [row["load"]["connections"] for row in rows] == [1, 0, 0]
            assert all(row["shared"] for row in breakers)
            limit = json.loads(weirctl("limits", "-o", "json", node=self.node).stdout)["limits"][0]
            assert (limit["leased"], limit["remaining"]) == (0, limit["burst"])
            assert weirctl("hints", node=self.node).returncode == 0
            return True

        wait_for(still, "the cluster to be at rest")

    def run(self, command):
        """The command and what it printed, as the file has it."""
        words = [str(self.folder / f"{w}.yaml") if w in self.files else w.replace("NODE", self.url) for w in command.split()]
        done = weirctl(*words, node=None if words[0] in (*ASK_NOBODY, "bench") else self.node)
        text = (done.stdout + done.stderr).replace(f"{self.folder}/", "").replace(self.url, "NODE")
        if words[:2] == ["config", "print"]:  # the keys of which there is something to say: new ones come all the time
            text = "".join(line for line in text.splitlines(True) if " # default" not in line)
        return f"$ weirctl {command}\n{text}" + (f"(exit code {done.returncode})\n" if done.returncode else "")


@pytest.fixture(scope="module")
def outputs(module_stage, tmp_path_factory):
    """Of each verb, what all its commands have printed; and what top shows."""
    trio = Trio(module_stage, tmp_path_factory.mktemp("files"))
    terminal = Terminal([program("weirctl"), "top", "--node", trio.url], columns=100, rows=20)
    module_stage.running.append(terminal.close)
    terminal.wait_text("3 of 3 nodes", "mock")
    top = f"$ weirctl top\n{terminal.text()}\n"
    terminal.type("q")
    assert terminal.wait_end() == 0
    return {"top": top, **{verb: "\n".join(trio.run(c) for c in commands) for verb, commands in COMMANDS.items()}}


@pytest.fixture
def renew(request):
    return request.config.getoption("--renew-golden")


@pytest.mark.parametrize("verb", ["top", *COMMANDS])
def test_golden_output(outputs, verb, renew):
    text = outputs[verb]
    assert_golden(f"weirctl/{verb}", text if verb in ASK_NOBODY else with_placeholders(text), renew)


@pytest.mark.parametrize("verb", HELP)
def test_golden_help(verb, renew):
    done = weirctl(verb, "--help")
    assert done.returncode == 0 and not done.stderr
    assert_golden(f"weirctl/help/{verb}", f"$ weirctl {verb} --help\n{done.stdout}", renew)
