"""What the shells themselves make of `weirctl completion`."""

import os
import subprocess

import pytest
from ctl import weirctl
from harness import WAIT_S, wait_for
from terminal import Terminal

# What is typed, and the words that are offered then.
CASES = [
    ("weirctl re", {"rebalance", "reload", "report"}),
    ("weirctl config ", {"check", "print", "diff"}),
    ("weirctl breaker ", {"open", "close", "reset"}),
    ("weirctl nodes -o ", {"table", "wide", "json", "yaml"}),
    ("weirctl top --inter", {"--interval"}),
]


@pytest.fixture
def script(tmp_path):
    def make(shell):
        path = tmp_path / "_weirctl"
        path.write_text(weirctl("completion", shell).stdout)
        return path

    return make


def said(*argv):
    """In a folder whose files fit nothing that is typed: they are offered, too."""
    environ = {**os.environ, "HOME": "/nonexistent"}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_S, env=environ, cwd="/")
    assert done.returncode == 0 and not done.stderr, done
    return {line.split("\t")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("typed, offered", CASES)
def test_bash(script, typed, offered):
    words = f"COMP_WORDS=({typed}{chr(39) * 2 if typed.endswith(' ') else ''}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))"
    assert said("bash", "-c", f"source {script('bash')}; {words}; _weirctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"") == offered


@pytest.mark.parametrize("typed, offered", CASES)
def test_fish(script, typed, offered):
    assert said("fish", "--no-config", "-c", f"source {script('fish')}; complete -C '{typed}'") == offered


@pytest.fixture
def zsh(stage, script):
    """A shell at its prompt, in which the script is what weirctl is completed by."""
    folder = script("zsh").parent
    terminal = Terminal(["zsh", "-f"], columns=100, rows=40, HOME=str(folder), ZDOTDIR=str(folder))
    stage.running.append(terminal.close)
    terminal.type(f"PS1='ready> '; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; clear\n")
    wait_for(lambda: terminal.text() == "ready>", "the prompt")
    return terminal


@pytest.mark.parametrize("typed, offered", CASES)
def test_zsh(zsh, typed, offered):
    zsh.type(f"{typed}\t")
    if len(offered) == 1:  # there is no choice: the word is completed
        zsh.wait_text(f"ready> {typed.rpartition(' ')[0]} {offered.pop()}")
        return
    zsh.wait_text(*offered)
    shown = zsh.text().partition(typed)[2]
    assert "weirctl" not in shown and not {"status", "drain", "--node"} & set(shown.split())
