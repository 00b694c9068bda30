"""weir-coordinator --backtest on files made here: what it prints, and what it says when it cannot."""

import json
import math
import random
import subprocess

import pytest
from harness import program

METHODS = ["weir", "ses_e", "naive"]
MEASURES = ["mase", "pinball90_rel", "coverage90"]
DAY = 48


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Three weeks of half hours, each day a wave."""
    rng = random.Random(5)
    path = tmp_path_factory.mktemp("backtest") / "chat.csv"
    loads = (max(0, 400 + 250 * math.sin(2 * math.pi * i / DAY) + rng.gauss(0, 20)) for i in range(21 * DAY))
    path.write_text("t,requests\n" + "".join(f"{1800 * i},{load:.0f}\n" for i, load in enumerate(loads)))
    return path


def run(*args):
    return subprocess.run([program("weir-coordinator"), *map(str, args)], capture_output=True, text=True, timeout=60)


def test_json(history):
    done = run("--backtest", history, "--step", 1800, "--horizon", 12, "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert list(result) == ["series", "step", "horizon", "origins", "methods"]
    assert [result[key] for key in list(result)[:4]] == ["chat", 1800, 12, 90]
    assert list(result["methods"]) == METHODS
    assert all(list(method) == MEASURES for method in result["methods"].values())
    weir, ses = (result["methods"][name] for name in METHODS[:2])
    assert weir["mase"] < 0.5 * ses["mase"]
    assert weir["pinball90_rel"] < 0.5 * ses["pinball90_rel"]
    assert 0.85 < weir["coverage90"] < 0.95


def test_table_is_the_same_each_time_and_takes_the_step_from_the_file(history):
    done = run("--backtest", history, "--horizon", 12)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[:2] == ["chat: 1008 steps of 1800 s, 0 of them gaps", "12 steps ahead (360 min), from 90 origins in the last third"]
    assert [line.split()[0] for line in lines[4:7]] == METHODS
    assert run("--backtest", history, "--horizon", 12, "--step", 1800, "-o", "table").stdout == done.stdout


@pytest.mark.parametrize(
    ("text", "args", "says"),
    [
        ("t,requests\n0,1\n60,x\n", [], "line 3: its load is not a number of 0 or more"),
        ("t,requests\n0,1\n60,2\n", [], "2 values are too few for 60 steps ahead: 180 at least"),
        ("t,requests\n0,1\n10,2\n", ["--step", "60"], "not a whole number of steps of 60 s"),
        (None, [], "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, text, args, says):
    path = tmp_path / "load.csv"
    if text is not None:
        path.write_text(text)
    done = run("--backtest", path, *args)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"weir-coordinator: {path}: ") and says in done.stderr


def test_a_folder_is_no_history(tmp_path):
    done = run("--backtest", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Is a directory" in done.stderr


@pytest.mark.parametrize("args", [["--step", "0"], ["--horizon", "513"], ["-o", "yaml"], ["-c", "weir.yaml"]])
def test_wrong_usage(history, args):
    done = run("--backtest", history, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: weir-coordinator" in done.stderr
