"""weirctl as tests run it, and its output with what varies taken out."""

import json
import os
import re
import subprocess

from harness import WAIT_S, program


def weirctl(*words, node=None, **env):
    argv = [program("weirctl"), *words, *(["--node", f"http://127.0.0.1:{node.port}"] if node else [])]
    return subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_S, env={**os.environ, **env})


def shown(*words, node):
    """The answer as JSON; the exit code must be 0."""
    done = weirctl(*words, "-o", "json", node=node)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def normal(text):
    """Ports, times and runs of spaces are not what a test is about."""
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    return [re.sub(r"  +", "  ", line.rstrip()) for line in text.splitlines()]
