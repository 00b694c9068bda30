"""The guide's configuration and its command lines: files of our own that hold each of its keys and each line, and, where the
guide lies beside the tree, its snippets."""

import json
import re
import subprocess
import sys
import textwrap

import pytest
from cluster import Cluster
from harness import ROOT, free_port, program
from proofs import exists

sys.path.insert(0, str(ROOT / "scripts"))

import guide_lines  # noqa: E402

FILES = sorted((ROOT / "tests/guide").glob("*.yaml"))
GUIDE = ROOT.parent / "shared/connection-pooling-guide.md"

PAGE = ROOT / "docs/guide-coverage.md"
ITEMS = [
    tuple(line.split(" ", 1))
    for line in (ROOT / "tests/guide/items.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
# The sections of the page, and the kind of item of the rows of each.
SECTIONS = {
    "Configuration": "key",
    "Endpoints": "endpoint",
    "Metrics": "metric",
    "Formulas": "formula",
    "Alerts": "alert",
    "Thresholds": "threshold",
    "Behaviour": "behaviour",
}
WORKS = "works"


def keys_of_the_guide():
    """As paths of names; NAME and [] stand for any."""
    return [name.replace("[]", ".[]").split(".") for kind, name in ITEMS if kind == "key"]


def weir(*args):
    return subprocess.run([program("weir-node"), *map(str, args)], capture_output=True, text=True, check=False)


def snippets():
    """The guide's YAML blocks; one that repeats a top-level key is two."""
    found = []
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", GUIDE.read_text(), re.S | re.M):
        parts, seen = [[]], set()
        for line in textwrap.dedent(block).splitlines():
            key = re.match(r"(\w+):", line)
            if key and key.group(1) in seen:
                parts.append([])
                seen = set()
            if key:
                seen.add(key.group(1))
            parts[-1].append(line)
        found += ["\n".join(part) + "\n" for part in parts]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_our_own_files_are_valid(path):
    run = weir("--check", "-c", path)
    assert run.returncode == 0 and run.stderr == ""


def test_there_are_files():
    assert len(FILES) >= 5


def test_what_is_built_is_used_without_a_warning():
    run = weir("--check", "-c", ROOT / "tests/guide/everything.yaml")
    assert run.returncode == 0 and run.stderr == ""


def together(trees):
    """One tree of several; where they differ, the later one counts."""
    whole = {}
    for tree in trees:
        for key, value in tree.items():
            both = isinstance(value, dict) and isinstance(whole.get(key), dict)
            whole[key] = together([whole[key], value]) if both else value
    return whole


def test_the_guides_whole_configuration_starts_without_a_warning(stage):
    """All its sections in one file, in a cluster: none of it is told to have no effect."""
    yaml = pytest.importorskip("yaml", reason="no YAML reader here (python3-yaml)")
    def read(name):
        return yaml.safe_load((ROOT / f"tests/guide/{name}.yaml").read_text())

    cluster, mock, port = Cluster(stage), stage.mock(), free_port()
    overlays = {name: read("environments")[name] for name in ("development", "production")}
    ours = {
        "server": {"listen": f"127.0.0.1:{port}"},
        "providers": {name: {"base_url": mock.url} for name in ("openai", "anthropic")},
        "distributed_pool": {"redis_url": cluster.url, "node_id": "n1"},
    }
    whole = together([read("advanced"), read("cluster"), overlays, ours])
    node = stage.node_of(whole, port)
    node.id = "n1"
    cluster.members.append(node)
    cluster.wait_members(1)
    assert node.events("config_warning") == []
    node.reload(together([whole, {"distributed_pool": {"enabled": False}}]))
    assert "has no effect" in node.wait_events("config_warning")[0]["msg"]


def test_every_key_of_the_guide_stands_in_a_file():
    yaml = pytest.importorskip("yaml", reason="no YAML reader here (python3-yaml)")
    files = [yaml.safe_load(path.read_text()) for path in FILES]

    def stands_in(tree, path):
        if not path:
            return True
        if path[0] == "[]":
            return isinstance(tree, list) and any(stands_in(item, path[1:]) for item in tree)
        if not isinstance(tree, dict):
            return False
        names = tree if path[0] == "NAME" else [path[0]]
        return any(stands_in(tree[name], path[1:]) for name in names if name in tree)

    missing = [path for path in keys_of_the_guide() if not any(stands_in(tree, path) for tree in files)]
    assert len(files) >= 5 and not missing


def test_every_key_of_the_guide_is_in_the_schema():
    root = json.loads(weir("--print-schema").stdout)

    def variants(schema):
        """The schema itself, what it refers to, and what it may be."""
        while "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return [found for one in schema["anyOf"] for found in variants(one)] if "anyOf" in schema else [schema]

    def has(schema, path):
        for one in variants(schema):
            if not path:
                return True
            inner = {"[]": one.get("items"), "NAME": one.get("additionalProperties")}.get(
                path[0], one.get("properties", {}).get(path[0])
            )
            if isinstance(inner, dict) and has(inner, path[1:]):
                return True
        return False

    assert not has(root, ["http_client", "nonsense"]) and not has(root, ["alerts", "[]", "nonsense"])
    keys = keys_of_the_guide()
    assert len(keys) > 60
    assert [path for path in keys if not has(root, path)] == []


def test_every_key_of_the_guide_is_in_the_reference():
    page = weir("--print-docs").stdout
    missing = [path for path in keys_of_the_guide() if f"| `{path[-1]}` |" not in page]
    assert missing == []


def rows():
    """The rows of the page: kind, item, status, and the tests named."""
    section, found = None, []
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = SECTIONS.get(line[3:])
        elif line.startswith("| `") and section:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == 4, f"four columns: {line}"
            found.append((section, cells[0].strip("`"), cells[1], re.findall(r"`([^`]+)`", cells[3])))
    return found


def test_the_page_has_a_row_for_each_item():
    assert len(set(ITEMS)) == len(ITEMS)
    assert {kind for kind, _ in ITEMS} == set(SECTIONS.values())
    assert sorted((kind, item) for kind, item, _, _ in rows()) == sorted(ITEMS)


def test_each_row_names_tests_that_exist():
    assert exists("blackbox/test_guide.py::test_each_row_names_tests_that_exist")
    assert not exists("blackbox/test_guide.py::test_nonsense") and not exists("blackbox/test_guide.py")
    assert not exists("unit/core/test_nonsense.c::test_a") and not exists("unit/core/test_retry.c::test_nonsense")
    wrong = []
    for _, item, status, tests in rows():
        if status != WORKS:
            wrong.append(f"{item}: {status!r}")
        if not tests:
            wrong.append(f"{item} works, and no test says so")
        wrong += [f"{item}: there is no {test}" for test in tests if not exists(test)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("environment", ["development", "production"])
def test_overlays_of_the_guide(environment, monkeypatch):
    monkeypatch.setenv("WEIR_ENV", environment)
    run = weir("--print-config", "-c", ROOT / "tests/guide/environments.yaml")
    assert run.returncode == 0, run.stderr
    http = run.stdout[run.stdout.index("\nhttp_client:") :]
    connections = {"development": 15, "production": 450}[environment]
    assert f"  max_connections: {connections} # {environment} overlay, " in http


def test_the_guides_command_lines_work(stage, tmp_path):
    """As they do at scripts/demo and at docker-compose.yml: scripts/demo --check and tests/compose/run type them there."""
    node = stage.node({"openai": stage.mock()})
    assert len(guide_lines.lines()) == 14 and guide_lines.type_all(node.port) == []
    (tmp_path / ".curlrc").write_text(guide_lines.CURLRC.format(port=node.port))
    assert "404" in guide_lines.what_is_wrong("curl http://localhost:8000/health/nonsense", tmp_path)
    assert "exit 0" in guide_lines.what_is_wrong("curl http://localhost:8000/metrics | jq .nonsense", tmp_path)


def test_demo_and_containers_answer_where_the_guide_asks():
    assert all(line.startswith("curl http://localhost:8000/") for line in guide_lines.lines())
    assert re.search(r"^PORT = 8000$", (ROOT / "scripts/demo.py").read_text(), re.M)
    assert '"127.0.0.1:${WEIR_PORT:-8000}:8000"' in (ROOT / "docker-compose.yml").read_text()


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not part of the repository and does not lie beside it")
def test_these_are_the_guides_command_lines():
    assert guide_lines.lines() == list(dict.fromkeys(re.findall(r"^ *(curl .*)$", GUIDE.read_text(), re.M)))


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not part of the repository and does not lie beside it")
def test_the_guides_own_snippets(tmp_path):
    cases = snippets()
    assert len(cases) > 10
    for i, text in enumerate(cases):
        path = tmp_path / f"snippet{i}.yaml"
        path.write_text(text)
        run = weir("--check", "-c", path)
        problems = [line for line in run.stderr.splitlines() if ": error: " in line or "in this build" in line]
        assert not problems and run.returncode == 0, f"{text}\n{run.stderr}"


def test_the_reference_page_is_up_to_date():
    assert (ROOT / "docs/configuration.md").read_text() == weir("--print-docs").stdout, "weir-node --print-docs makes it"


def test_the_schema_agrees_with_the_reader(tmp_path):
    jsonschema = pytest.importorskip("jsonschema", reason="no JSON Schema validator here (python3-jsonschema)")
    yaml = pytest.importorskip("yaml", reason="no YAML reader here (python3-yaml)")
    schema = json.loads(weir("--print-schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in FILES:
        errors = [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))]
        assert not errors, f"{path}: {errors}"
    for text in ("server: {worker: 1}", "server: {workers: many}", "server: {workers: 5000}", "routes: [{path_prefix: /a}]"):
        (tmp_path / "bad.yaml").write_text(text)
        assert weir("--check", "-c", tmp_path / "bad.yaml").returncode == 2
        assert not validator.is_valid(yaml.safe_load(text)), text
