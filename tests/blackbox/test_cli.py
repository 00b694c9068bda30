"""weir-node's command line: what it takes, what it says, and its exit codes."""

import os
import re
import subprocess

import pytest
from harness import ROOT, program

ROOT_FILE = "providers: {a: {base_url: 'http://127.0.0.1:1'}}\n"


def weir(*args, **options):
    return subprocess.run([program("weir-node"), *map(str, args)], capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((), "no configuration: -c FILE"),
        (("--check",), "no configuration: -c FILE"),
        (("--nope",), "unrecognized option '--nope'"),
        (("-c",), "option requires an argument -- 'c'"),
        (("-c", "a", "-c", "b"), "--config is given twice"),
        (("--check", "--print-config", "-c", "a"), "at a time"),
        (("-c", "a", "b"), "unexpected argument 'b'"),
    ],
)
def test_wrong_usage(args, sentence):
    run = weir(*args)
    assert run.returncode == 2 and sentence in run.stderr and "usage: weir-node -c FILE" in run.stderr
    assert run.stdout == ""


def test_help_and_version():
    run = weir("--help")
    assert run.returncode == 0 and run.stderr == ""
    printed = ("--print-config", "--print-schema", "--print-docs", "--print-metrics", "--print-paths")
    for option in ("--config", "--check", *printed, "--help", "--version"):
        assert option in run.stdout
    run = weir("--version")
    assert run.returncode == 0 and run.stdout.startswith("weir-node ")


def test_the_manual_page_names_paths_that_there_are():
    paths = {line.split("\t")[0] for line in weir("--print-paths").stdout.splitlines()}
    text = (ROOT / "docs/man/weir-node.1").read_text()
    section = text[text.index(".SH ENDPOINTS") : text.index(".SH EXAMPLES")]
    named = set(re.findall(r"^\.IR? (/\S+?)(?: ,|$)", section, re.M))
    within = re.search(r"^\.IR /api/cluster/ \{ (.*) \},$", section, re.M).group(1).split(" , ")
    assert {"/dashboard", "/health/ready", "/metrics/prometheus"} <= named and "hints" in within
    assert named - {"/health*"} | {f"/api/cluster/{name}" for name in within} <= paths


def test_check_names_the_files_of_every_part(tmp_path):
    (tmp_path / "w.yaml").write_text("""
server: {tls: {certificates: [{cert_file: no.pem, key_file: no.key}]}}
providers:
  a: {base_url: "https://a.example", tls: {ca_file: no-a.pem}}
  b: {base_url: "https://b.example", tls: {ca_file: no-b.pem}}
""")
    run = weir("--check", "-c", tmp_path / "w.yaml")
    assert run.returncode == 2 and not run.stdout
    first, second, third = run.stderr.splitlines()
    assert first.startswith("weir-node: server: tls: ") and "no.pem" in first
    assert "provider a: tls: " in second and "no-a.pem" in second
    assert "provider b: tls: " in third and "no-b.pem" in third


def test_check_says_so_when_all_is_well(tmp_path):
    (tmp_path / "w.yaml").write_text(ROOT_FILE)
    run = weir("--check", "--config", tmp_path / "w.yaml")
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{tmp_path}/w.yaml is valid\n", "")


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w") as full:
        run = subprocess.run([program("weir-node"), "--print-docs"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 1 and "cannot write: No space left on device" in run.stderr


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    run = weir("--check", "-c", tmp_path / "fifo", timeout=60)
    assert run.returncode == 0 and "there are none" in run.stderr  # a pipe without a writer is an empty file


PROGRAMS = sorted(p for p in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"] if os.access(p, os.X_OK))


@pytest.mark.parametrize("path", PROGRAMS, ids=[p.name for p in PROGRAMS])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_scripts_say_what_they_do(path, option, tmp_path):
    run = subprocess.run([path, option], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0 and run.stderr == ""
    assert f"{path.parent.name}/{path.name}" in run.stdout and "#!" not in run.stdout and "set -" not in run.stdout


def test_the_bench_knows_its_rows_and_proxies():
    bench = ROOT / "tests" / "bench" / "bench.py"
    for args, sentence in (
        (("--proxies", "foo"), "no such proxy: foo; there are nginx, haproxy, weir"),
        (("--proxies", "weir,"), "no such proxy: ; there are"),
        (("--only", "foo"), "no such row: foo"),
    ):
        run = subprocess.run([bench, *args], capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 2 and sentence in run.stderr
