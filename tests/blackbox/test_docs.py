"""The documents' configuration snippets are ones that the programs take, and each command line in them is typed here, or by
the test or gate that a table names."""

import os
import re
import shutil
import subprocess

import pytest
from cluster import Cluster
from harness import ROOT, free_port, program
from pages import PAGES, Block, Shell, blocks
from proofs import exists

# The files that snippets name, and what stands in for them.
FILES = {"weir.pem": "good.pem", "weir.key": "good.key", "inside-ca.pem": "ca.pem"}
SECRETS = {**os.environ, **dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "REDIS_PASSWORD", "WEIR_ADMIN_TOKEN"), "secret")}
SNIPPETS = [
    pytest.param(block.text, id=f"{page}:{i}")
    for page in PAGES
    for i, block in enumerate(b for b in blocks(page) if b.language == "yaml")
]


@pytest.fixture
def folder(pki, tmp_path):
    """One that has the files which snippets name."""
    for name, source in FILES.items():
        shutil.copy(pki / source, tmp_path / name)
    (tmp_path / "pki").symlink_to(pki)  # as tests/make-pki makes it where it is called
    (tmp_path / "openai.key").write_text("sk-test")
    return tmp_path


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_is_a_valid_configuration(snippet, folder):
    (folder / "weir.yaml").write_text(snippet)
    argv = [program("weir-node"), "--check", "-c", "weir.yaml"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder, env=SECRETS)
    assert done.returncode == 0, done.stdout + done.stderr
    problems = [line for line in done.stderr.splitlines() if "no providers" not in line and ": warning:" in line]
    assert not any("no effect" in line for line in problems), problems


def test_there_are_snippets():
    assert len(SNIPPETS) >= 20


def of_others(section):
    """The other program's file in a section of the page on migration; its names need no resolver, its ports no root."""
    block = next(b for b in blocks("docs/migration.md") if b.section == section)
    return re.sub(r"(?<=server )api\.openai\.com:443|(?<=listen )443", f"127.0.0.1:{free_port()}", block.text)


def test_the_files_of_haproxy_and_nginx_are_valid(folder):
    (folder / "haproxy.cfg").write_text(of_others("From HAProxy"))
    (folder / "nginx.conf").write_text(f"pid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{of_others('From nginx')}}}\n")
    env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    nginx = ["nginx", "-t", "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
    for argv in (["haproxy", "-c", "-f", "haproxy.cfg"], nginx):
        done = subprocess.run(argv, capture_output=True, text=True, cwd=folder, env=env)
        assert done.returncode == 0 and "warn" not in done.stderr.lower(), done.stdout + done.stderr


# Sections whose lines are typed one after the other, with what they build on: the programs in them are started.
SCENARIOS = [
    ("README.md", ["Use it"]),
    ("README.md", ["Use it", "TLS and HTTP/2"]),
    ("README.md", ["Use it", "What it does when things go wrong"]),
    ("docs/quickstart.md", ["2. One node and your provider"]),
    ("docs/quickstart.md", ["3. Several nodes"]),
    ("docs/cluster.md", ["Set one up"]),
]


# Lines that ask a node at the usual address, or the cluster by way of it.
ASKS = re.compile(r"curl .*localhost:8000|(build/bin/)?weirctl ")

# Every other line, and the test or the gate of .ci/run that does what it says; BY_HAND: no machine of ours can do it, or not
# in the time of a test.
BY_HAND = "by hand"
PROOFS = {
    "git clone URL weir && cd weir": BY_HAND,
    "redis-server --save '' &": "gate demo",  # which starts one so; at the usual port may be somebody's
    "scripts/demo": "gate demo",
    "scripts/test": "gate tests",
    "scripts/bootstrap": "gate tests",
    "scripts/test --quick": "gate tests",
    "scripts/test pool": "gate tests",
    "docker-compose up --build": "gate compose",
    "docker-compose up --build -d": "gate compose",
    "docker-compose ps": "gate compose",
    "docker-compose down -v": "gate compose",
    ".ci/run": "gate tests",
    ".ci/run asan layers": "gate layers",
    "cmake --preset release": "gate gcc",
    "cmake --build --preset release": "gate gcc",
    "cmake --preset release && cmake --build --preset release": "gate gcc",
    "cmake --preset release && ninja -C build": "gate gcc",
    "cmake --preset tsan && cmake --build --preset tsan && ctest --test-dir build/tsan -R pool --output-on-failure": "gate tsan",
    "scripts/fuzz": "gate fuzz",
    "scripts/fuzz --seconds 600 fuzz_h1_server": "gate fuzz",
    "build/tests/sim/weir-sim --seeds 1000": "gate tests",
    "build/tests/sim/weir-sim --seed 4711 --trace": "gate tests",
    "build/tests/sim/weir-sim --plants": "gate tests",
    "build/tests/sim/weir-sim --nodes 1000 --shards 16384 --report": "gate tests",
    "perf record -g build/bin/weir-node -c deploy/demo.yaml": BY_HAND,
    "tests/bench/bench.py": BY_HAND,
    "tests/bench/bench.py --quick": BY_HAND,
    "tests/bench/bench.py --only cpu --clients 32 --logs off": BY_HAND,
    "tests/bench/bench.py --only idle,streams --proxies weir": BY_HAND,
    "tests/bench/bench.py --only trip,away,failover,share,cluster_cost": BY_HAND,
    "tests/bench/where.py --proxies weir,haproxy --clients 32": BY_HAND,
    "tests/bench/where.py --proxies weir,haproxy --front h2s --back h2s": BY_HAND,
    "kubectl apply -f my-secret.yaml": "blackbox/test_kubernetes.py::test_a_manifest_is_of_its_kind",
    "kubectl apply -f config.yaml -f redis.yaml -f nodes.yaml -f coordinators.yaml -f network.yaml":
        "blackbox/test_kubernetes.py::test_a_manifest_is_of_its_kind",
    "kubectl apply -f scaling/keda.yaml": "blackbox/test_kubernetes.py::test_keda_reads_the_number_of_nodes",
    "sudo apt install ./build/packages/weir_*.deb": "blackbox/test_package.py::test_the_package_installs_runs_and_goes",
    "sudoedit /etc/weir/weir.yaml": "blackbox/test_package.py::test_the_package_installs_runs_and_goes",
    "sudo systemctl enable --now weir-node": "blackbox/test_package.py::test_units_are_sound_and_hardened",
    "weir-node --check -c weir.yaml": "blackbox/test_cli.py::test_check_says_so_when_all_is_well",
    'kill -HUP "$(pidof weir-node)"': "blackbox/test_lifecycle.py::test_reload_keeps_what_stays",
    "weir-coordinator --backtest requests.csv --step 60 --horizon 60": "blackbox/test_backtest.py::"
        "test_table_is_the_same_each_time_and_takes_the_step_from_the_file",
    "weir-coordinator --backtest requests.csv --step 60 --horizon 60 -o json": "blackbox/test_backtest.py::test_json",
    "weirctl events --follow": "blackbox/test_weirctl.py::test_events_are_followed",
    "weirctl top": "blackbox/test_weirctl_top.py::test_keys",
    "build/bin/weirctl top": "blackbox/test_weirctl_top.py::test_keys",
    "weirctl breaker open openai": "blackbox/test_weirctl_operates.py::test_circuits",
}


@pytest.mark.parametrize("page,sections", SCENARIOS, ids=[f"{page}:{sections[-1]}" for page, sections in SCENARIOS])
def test_a_section_can_be_followed(stage, sdk, page, sections):
    shell = Shell(stage)
    (shell.folder / "node_modules").symlink_to(sdk / "node_modules")  # as npm install leaves it
    for section in sections:
        shell.follow(page, section, PROOFS)


# The one that the gate compose reads and types, and those above.
TYPED_BY_COMPOSE = ("docs/containers.md", "Things to try")
FOLLOWED = {TYPED_BY_COMPOSE, *((page, section) for page, sections in SCENARIOS for section in sections)}
# What is left: the lines outside of the sections that are followed.
LINES = [
    (page, command)
    for page in PAGES
    for block in blocks(page) if (page, block.section) not in FOLLOWED
    for command in block.commands()
]
ASKED = list(dict.fromkeys((page, command) for page, command in LINES if ASKS.match(command) and command not in PROOFS))


def test_every_command_line_is_typed_somewhere():
    known = {command for _, command in ASKED} | set(PROOFS)
    assert [line for line in LINES if line[1] not in known] == []
    every = {command for page in PAGES for block in blocks(page) for command in block.commands()}
    assert [command for command in PROOFS if command not in every] == []
    gates = set(re.findall(r"^ *gate (\S+) ", (ROOT / ".ci/run").read_text(), re.M))
    assert TYPED_BY_COMPOSE[0] in (ROOT / "tests/compose/run").read_text()
    wrong = [p for p in PROOFS.values() if p != BY_HAND and p.removeprefix("gate ") not in gates and not exists(p)]
    assert wrong == [] and len(LINES) > 60


def test_the_bench_understands_the_lines_that_are_typed_by_hand():
    """One thing is made wrong at the end of each, and the bench finds nothing wrong before it."""
    lines = [line for line, proof in PROOFS.items() if proof == BY_HAND and line.startswith("tests/bench/")]
    for line in lines:
        if "bench.py" in line:
            wrong = re.sub(r"(--only \S+)", r"\1,no", line) if "--only" in line else f"{line} --only no"
            says = "no such row: no;"
        else:
            wrong, says = f"{line} --top no", "argument --top: invalid int value"
        done = subprocess.run(wrong.split(), capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert done.returncode == 2 and says in done.stderr, f"{wrong}: {done.stderr}"
    assert len(lines) >= 5


def test_what_is_a_command():
    assert Block(None, None, "weirctl nodes   # all\ncurl a \\\n  -d '#1'\n").commands() == ["weirctl nodes", "curl a -d '#1'"]
    assert Block(None, "", "curl ---+\nscripts/demo\n").commands() == ["scripts/demo"]
    assert Block(None, None, "make coffee\n").commands() == ["make coffee"] and Block(None, "yaml", "curl: x\n").commands() == []


def test_commands_that_ask_a_node(stage):
    shell = Shell(stage)
    cluster = Cluster(stage, redis=False, shard_count=32)
    cluster.url = f"redis://127.0.0.1:{shell.ports['6379']}"
    analytics = {"enabled": True, "sample_interval": 1}
    nodes = [cluster.node({"openai": stage.mock()}, name=name, analytics=analytics) for name in ("node-1", "node-2")]
    shell.ports["8000"] = nodes[0].port
    cluster.coordinator(analytics=analytics)
    cluster.wait_members(2)
    assert len(ASKED) >= 20
    for _, command in ASKED:
        shell.type(command)
