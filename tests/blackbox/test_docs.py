"""The documents' configuration snippets are ones that the node takes."""

import re
import shutil
import subprocess

import pytest
from harness import ROOT, program

PAGES = ["README.md", "docs/resilience.md", "docs/cluster.md"]
SNIPPETS = [
    pytest.param(snippet, id=f"{page}:{i}")
    for page in PAGES
    for i, snippet in enumerate(re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S))
]


# The files that snippets name, and what stands in for them.
FILES = {"weir.pem": "good.pem", "weir.key": "good.key", "inside-ca.pem": "ca.pem"}


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_is_a_valid_configuration(snippet, pki, tmp_path):
    path = tmp_path / "weir.yaml"
    path.write_text(snippet)
    for name, source in FILES.items():
        shutil.copy(pki / source, tmp_path / name)
    (tmp_path / "openai.key").write_text("sk-test")
    done = subprocess.run([program("weir-node"), "--check", "-c", path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    problems = [line for line in done.stderr.splitlines() if "no providers" not in line and ": warning:" in line]
    assert not any("no effect" in line for line in problems), problems


def test_every_page_has_snippets():
    assert len(SNIPPETS) >= 6
