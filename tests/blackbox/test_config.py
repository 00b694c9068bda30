"""What weir-node says of a configuration that cannot be: file, line, key and sentence, all of it in one run, exit code 2."""

import json
import os
import re
import resource
import shutil
import subprocess

import pytest
from harness import program, sanitized

GOOD = "server: {listen: '127.0.0.1:0'}\nproviders:\n  a: {base_url: 'http://127.0.0.1:9001'}\n"


def weir(*args, cwd, env=None, **options):
    argv = [program("weir-node"), *map(str, args)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **(env or {})}, **options)


def check(tmp_path, text, name="weir.yaml", **options):
    (tmp_path / name).write_text(text)
    return weir("--check", "-c", name, cwd=tmp_path, **options)


def errors(run):
    return [line for line in run.stderr.splitlines() if ": error: " in line]


ALIASES = "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdef", "bcdefg"))

BAD = {
    "wrong-type": (
        "server:\n  workers: many\n",
        ['weir.yaml:2: error: server.workers: "many" is not a whole number'],
    ),
    "unknown-key": (
        "server:\n  lisen: 127.0.0.1:1\n",
        ['weir.yaml:2: error: server.lisen: unknown key; the nearest known one is "listen"'],
    ),
    "out-of-range": (
        "server:\n  workers: 5000\n",
        ["weir.yaml:2: error: server.workers: 5000 is out of range: 0 to 1024"],
    ),
    "repeated-key": (
        "server:\n  workers: 1\n  workers: 1\n",
        ["weir.yaml:3: error: server.workers: given twice, the first time in line 2"],
    ),
    "bad-url": (
        "providers:\n  a: {base_url: 'ftp://x'}\n",
        ['weir.yaml:2: error: providers.a.base_url: "ftp://x" is not an http:// or https:// URL'],
    ),
    "bad-port": ("server:\n  listen: '127.0.0.1:99999'\n", ['weir.yaml:2: error: server.listen: "127.0.0.1:99999" is not address:port']),
    "missing-variable": (
        "providers:\n  a: {base_url: 'http://${NOPE_}'}\n",
        ["weir.yaml:2: error: providers.a.base_url: the environment variable NOPE_ is not set"],
    ),
    "missing-secret": (
        "providers:\n  openai:\n    base_url: http://x\n    api_key_file: nope\n",
        ["weir.yaml:4: error: providers.openai.api_key_file: nope cannot be read: No such file or directory"],
    ),
    "syntax": ("server: [1\nb: 2\n", ["weir.yaml:2: error: server: not YAML: did not find expected ',' or ']'"]),
    "tab": ("server:\n\tworkers: 1\n", ["weir.yaml:2: error: not YAML: found character that cannot start any token"]),
    "nul": ("server:\n  workers: 1\0\n", ["weir.yaml:2: error: not YAML: control characters are not allowed"]),
    "not-a-mapping": ("- a\n- b\n", ["weir.yaml:1: error: not a mapping of keys to values"]),
    "alias-bomb": ("a: &a [x]\n" + ALIASES, ["weir.yaml:6: error: f: more than 100000 values, each alias counted"]),
    "alias-of-itself": ("a: &a [*a]\n", ["weir.yaml:1: error: a: an alias inside what it stands for"]),
    "deep": ("a: " + "[" * 10000 + "]" * 10000 + "\n", ["weir.yaml:1: error: a[0][0][0]", "nested too deep"]),
    "unknown-provider-in-a-route": (
        "providers:\n  a: {base_url: 'http://x'}\nroutes:\n- provider: b\n",
        ['weir.yaml:4: error: routes[0].provider: no provider "b"; the nearest known one is "a"'],
    ),
    "both-forms-at-odds": (
        "http_client:\n  max_connections: 3\n  pool_limits: {max_connections: 4}\n",
        ["weir.yaml:3: error: http_client.pool_limits.max_connections: says otherwise than http_client.max_connections in line 2"],
    ),
    "client-certificates-of-nobody": (
        "server:\n  tls:\n    client_certificates: required\n",
        ["error: server.tls.client_certificates: needs client_ca_file"],
    ),
    "auth-not-built": ("auth:\n  keys: [{name: a, key: b}]\n", ["error: auth", "not in this build"]),
}


@pytest.mark.parametrize(("text", "sentences"), BAD.values(), ids=BAD.keys())
def test_bad_configuration(tmp_path, text, sentences):
    run = check(tmp_path, text)
    assert run.returncode == 2, run.stderr
    for sentence in sentences:
        assert sentence in run.stderr
    assert weir("-c", "weir.yaml", cwd=tmp_path, timeout=60).returncode == 2, "nothing is started"


def test_all_errors_are_told_at_once(tmp_path):
    text = "server:\n  workers: many\n  lisen: x\nproviders:\n  a: {base_url: nonsense, weight: 3}\nhttp_client: {timeout: -1}\n"
    told = errors(check(tmp_path, text))
    assert len({line for line in told}) == 5, told
    assert sorted({int(re.match(r"weir\.yaml:(\d+):", line).group(1)) for line in told}) == [2, 3, 5, 6], told


def test_a_directory(tmp_path):
    run = weir("--check", "-c", tmp_path, cwd=tmp_path)
    assert run.returncode == 2 and f"{tmp_path}: error: " in run.stderr and "directory" in run.stderr


def test_a_file_that_is_not_there(tmp_path):
    run = weir("--check", "-c", "nope.yaml", cwd=tmp_path)
    assert run.returncode == 2 and "nope.yaml: error: " in run.stderr


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become nobody")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "weir.yaml"
    path.write_text(GOOD)
    path.chmod(0o600)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("weir-node"), "--check", "-c", "weir.yaml"]
    if subprocess.run([*command[:4], "test", "-x", program("weir-node")], check=False).returncode != 0:
        pytest.skip("nobody may not reach the program here")
    os.chmod(tmp_path, 0o755)
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 2 and "weir.yaml: error: " in run.stderr and "denied" in run.stderr


def test_a_file_of_100_mb(tmp_path):
    """Refused by its size: it is not read into memory first."""
    with open(tmp_path / "weir.yaml", "wb") as f:
        f.truncate(100 << 20)
    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))  # noqa: E731
    run = weir("--check", "-c", "weir.yaml", cwd=tmp_path, preexec_fn=None if sanitized() else limit)
    assert run.returncode == 2 and "weir.yaml: error: is larger than" in run.stderr


def test_an_endless_file(tmp_path):
    run = weir("--check", "-c", "/dev/zero", cwd=tmp_path, timeout=60)
    assert run.returncode == 2 and "/dev/zero: error: " in run.stderr


def test_good_configuration(tmp_path):
    run = check(tmp_path, GOOD)
    assert run.returncode == 0 and not errors(run), run.stderr


def test_what_has_no_effect_is_a_warning(tmp_path):
    run = check(tmp_path, GOOD + "analytics: {enabled: true}\n")
    assert run.returncode == 0 and "weir.yaml:4: warning: analytics: has no effect without distributed_pool" in run.stderr


def test_print_config_shows_origins_and_hides_secrets(tmp_path):
    text = "providers:\n  a: {base_url: 'http://127.0.0.1:1', api_key: 'sk-${SECRET}'}\nserver: {admin: {token: hidden-token}}\n"
    (tmp_path / "weir.yaml").write_text(text)
    run = weir("--print-config", "-c", "weir.yaml", cwd=tmp_path, env={"SECRET": "hidden-key"})
    assert run.returncode == 0
    assert "hidden" not in run.stdout + run.stderr
    assert '- url: "http://127.0.0.1:1" # weir.yaml:2\n' in run.stdout
    assert "keepalive_expiry: 30" in run.stdout


def test_print_schema_is_json(tmp_path):
    run = weir("--print-schema", cwd=tmp_path)
    schema = json.loads(run.stdout)
    assert run.returncode == 0 and "http_client" in schema["properties"]


def test_overlays(tmp_path):
    text = GOOD + "http_client: {max_connections: 7}\nproduction: {http_client: {max_connections: 9}}\n"

    def limit(env):
        (tmp_path / "weir.yaml").write_text(text)
        shown = weir("--print-config", "-c", "weir.yaml", cwd=tmp_path, env=env).stdout
        return re.search(r"max_connections: (\d+)\s+#.*weir.yaml", shown[shown.index("http_client") :]).group(1)

    assert limit({"WEIR_ENV": ""}) == "7"
    assert limit({"WEIR_ENV": "production"}) == "9"


@pytest.mark.parametrize(
    ("listen", "key", "warns"),
    [
        ("0.0.0.0:{port}", "sk-1", True),
        ("[::]:{port}", "sk-1", True),
        ("127.0.0.1:{port}", "sk-1", False),
        ("[::1]:{port}", "sk-1", False),
        ("0.0.0.0:{port}", None, False),
    ],
)
def test_an_open_relay_is_warned_of(tmp_path, listen, key, warns):
    provider = {"base_url": "http://127.0.0.1:1", **({"api_key": key} if key else {})}
    run = check(tmp_path, json.dumps({"server": {"listen": listen.format(port=8123)}, "providers": {"p": provider}}))
    assert run.returncode == 0 and ("uses the api_key of p" in run.stderr) == warns


@pytest.mark.parametrize(
    ("allow", "warns"),
    [(["0.0.0.0/0"], True), (["::/0"], True), (["127.0.0.0/8", "::/0"], True), (["10.0.0.0/8"], False), (["0.0.0.0/1"], False)],
)
def test_admin_pages_for_everybody_are_warned_of(tmp_path, allow, warns):
    config = {"server": {"admin": {"allow": allow}}, "providers": {"p": {"base_url": "http://127.0.0.1:1"}}}
    run = check(tmp_path, json.dumps(config))
    assert run.returncode == 0 and ("holds every address" in run.stderr) == warns
