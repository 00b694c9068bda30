"""The documents' configuration snippets are ones that the node takes, and their commands do what is said."""

import os
import re
import shutil
import subprocess
import textwrap

import harness
import pytest
from cluster import Cluster
from harness import ROOT, program

PAGES = ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("*.md")))]
SNIPPETS = [
    pytest.param(snippet, id=f"{page}:{i}")
    for page in PAGES
    for i, snippet in enumerate(re.findall(r"^ *```yaml\n(.*?)^ *```", (ROOT / page).read_text(), re.M | re.S))
]


# The files that snippets name, and what stands in for them.
FILES = {"weir.pem": "good.pem", "weir.key": "good.key", "inside-ca.pem": "ca.pem"}
SECRETS = {**os.environ, **dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "REDIS_PASSWORD", "WEIR_ADMIN_TOKEN"), "secret")}


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_is_a_valid_configuration(snippet, pki, tmp_path):
    path = tmp_path / "weir.yaml"
    path.write_text(textwrap.dedent(snippet))
    for name, source in FILES.items():
        shutil.copy(pki / source, tmp_path / name)
    (tmp_path / "pki").symlink_to(pki)  # as tests/make-pki makes it where it is called
    (tmp_path / "openai.key").write_text("sk-test")
    done = subprocess.run([program("weir-node"), "--check", "-c", path], capture_output=True, text=True, cwd=tmp_path, env=SECRETS)
    assert done.returncode == 0, done.stdout + done.stderr
    problems = [line for line in done.stderr.splitlines() if "no providers" not in line and ": warning:" in line]
    assert not any("no effect" in line for line in problems), problems


def test_every_page_has_snippets():
    assert len(SNIPPETS) >= 6


# Lines to be typed, that ask a node at the usual address; those that go on in the next line with it.
COMMANDS = sorted({
    (page, re.sub(r"\\\n\s*", "", command))
    for page in PAGES
    for command in re.findall(r"^    (curl (?:.*\\\n)*.*localhost:8000(?:.*\\\n)*.*|weirctl \w+)$", (ROOT / page).read_text(), re.M)
})


def test_commands_that_ask_a_node(stage):
    cluster = Cluster(stage)
    node = cluster.node({"openai": stage.mock()})
    cluster.wait_members(1)
    where = f"127.0.0.1:{node.port}"
    env = {**os.environ, "PATH": f"{harness.BUILD / 'bin'}:{os.environ['PATH']}", "WEIR_NODE": f"http://{where}"}
    failed = []
    for page, command in COMMANDS:
        script = "set -o pipefail\n" + command.replace("localhost:8000", where)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, timeout=60)
        if done.returncode != 0 or done.stdout == "" or '"error"' in done.stdout:
            failed.append((page, command, done.returncode, done.stdout + done.stderr))
    assert failed == []
    assert len(COMMANDS) >= 10
