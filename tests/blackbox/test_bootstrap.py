"""scripts/bootstrap where nothing is installed yet, as it seems: its dpkg-query knows no package, and its sudo refuses."""

import os
import subprocess

import pytest
from harness import ROOT

STUBS = {"dpkg-query": "exit 1", "id": "echo 1000", "sudo": "exit 1"}
BUILD, DEMO = {"gcc", "cmake", "check"}, {"redis-server", "haproxy", "jq"}
PACKAGE, TEST = {"dpkg-dev", "file"}, {"python3-pytest", "nginx-light"}


@pytest.mark.parametrize(
    ("argv", "wanted", "unwanted"),
    [
        (["--build"], BUILD, DEMO | PACKAGE | TEST),
        (["--demo"], BUILD | DEMO, PACKAGE | TEST),
        (["--package"], BUILD | PACKAGE, DEMO | TEST),
        ([], BUILD | DEMO | PACKAGE | TEST, set()),
    ],
)
def test_what_is_missing_is_named_and_asked_for(tmp_path, argv, wanted, unwanted):
    for name, line in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / "scripts/bootstrap", *argv], capture_output=True, text=True, env=env)
    assert done.returncode == 1 and "apt-get failed" in done.stderr, done
    named = set(done.stdout.split())
    assert wanted <= named and not unwanted & named, done.stdout
