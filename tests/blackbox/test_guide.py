"""The guide's configuration: files of our own that use each of its keys, and, where the guide lies beside the tree, its snippets."""

import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from harness import program

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "tests/guide").glob("*.yaml"))
GUIDE = ROOT.parent / "shared/connection-pooling-guide.md"

# The keys the guide writes, section by section.
KEYS = {
    "http_client": """enabled max_connections max_keepalive_connections keepalive_expiry timeout connect_timeout retry_attempts
        retry_backoff_factor pool_limits retry circuit_breaker health features""",
    "pool_limits": "max_connections max_keepalive_connections keepalive_expiry pool_block_timeout",
    "timeout": "total connect read write pool",
    "retry": """enabled attempts backoff_factor backoff_max_delay retry_status_codes status_codes retry_on_exceptions""",
    "circuit_breaker": "enabled failure_threshold recovery_timeout monitoring_enabled",
    "health": "enabled check_interval unhealthy_threshold health_check_timeout cleanup_interval force_cleanup",
    "features": "http2_enabled connection_reuse dns_cache_enabled tcp_keepalive compression",
    "providers": "openai anthropic",
    "openai": "connection_pool rate_limit",
    "connection_pool": "max_connections max_keepalive_connections timeout",
    "rate_limit": "requests_per_minute",
    "alerting": "connection_pool",
    "alerts": "name condition severity message action",
    "distributed_pool": """enabled redis_url pool_sharding shard_count connection_affinity health_check_interval failover_enabled
        failover_timeout""",
    "analytics": """enabled collect_connection_patterns collect_performance_metrics enable_predictive_scaling
        scaling_prediction_window scaling_cooldown_period""",
    "development": "http_client",
    "production": "http_client",
}


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
    assert run.returncode == 0, run.stderr


def test_there_are_files():
    assert len(FILES) >= 5


def test_what_is_built_is_used_without_a_warning():
    run = weir("--check", "-c", ROOT / "tests/guide/everything.yaml")
    assert run.returncode == 0 and run.stderr == ""


@pytest.mark.parametrize("section", KEYS)
def test_every_key_of_the_guide_stands_in_a_file(section):
    text = "\n".join(path.read_text() for path in FILES)
    words = set(re.findall(r"([\w-]+):", text))
    missing = [key for key in KEYS[section].split() if key not in words]
    assert section in words and not missing


def test_every_key_of_the_guide_is_in_the_reference():
    page = weir("--print-docs").stdout
    missing = [key for keys in KEYS.values() for key in keys.split() if f"| `{key}` |" not in page]
    assert [key for key in missing if key not in ("openai", "anthropic")] == []


@pytest.mark.parametrize("environment", ["development", "production"])
def test_overlays_of_the_guide(environment, monkeypatch):
    monkeypatch.setenv("WEIR_ENV", environment)
    run = weir("--print-config", "-c", ROOT / "tests/guide/environments.yaml")
    assert run.returncode == 0, run.stderr
    http = run.stdout[run.stdout.index("\nhttp_client:") :]
    connections = {"development": 15, "production": 450}[environment]
    assert f"  max_connections: {connections} # {environment} overlay, " in http


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not part of the repository and does not lie beside it")
def test_the_guides_own_snippets(tmp_path):
    cases = snippets()
    assert len(cases) > 10
    for i, text in enumerate(cases):
        path = tmp_path / f"snippet{i}.yaml"
        path.write_text(text)
        run = weir("--check", "-c", path)
        errors = [line for line in run.stderr.splitlines() if ": error: " in line]
        # The guide's providers are the public ones, over https://.
        wrong = [line for line in errors if not line.endswith(" https:// is not in this build")]
        assert not wrong, f"{text}\n{run.stderr}"
        assert run.returncode == (2 if errors else 0)
        assert bool(errors) == ("providers:" in text)


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
