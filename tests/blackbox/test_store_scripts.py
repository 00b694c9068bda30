"""The scripts that run in Redis: what they call is what the ACL allows, is as old as Redis 6.2, and is written down."""

import json
import re
import shutil
import subprocess

import pytest
from cluster import Redis
from harness import ROOT

SCRIPTS = {p.stem: p.read_text() for p in sorted((ROOT / "common/store/lua").glob("*.lua"))}
CALLS = [call for text in SCRIPTS.values() for call in re.findall(r"redis\.call\(('[A-Z]+'[^\n]*)", text)]
COMMANDS = {re.match(r"'([A-Z]+)'", call).group(1) for call in CALLS}
# What the client itself sends, to open a connection and to run scripts and hear pushes.
BY_CLIENT = {"ping", "role", "select", "client|setname", "subscribe", "unsubscribe", "eval", "evalsha"}
OLDEST = (6, 2)


def version(text):
    return tuple(int(n) for n in text.split(".")[:2])


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    """What a server says of each command: since when there is it, and each of its options."""
    redis = Redis(tmp_path_factory.mktemp("redis"))
    try:
        ask = ["redis-cli", "-p", str(redis.port), "--json", "COMMAND", "DOCS", *sorted(COMMANDS)]
        yield json.loads(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)
    finally:
        redis.finish()


def options(arguments):
    for a in arguments:
        if a.get("token"):
            yield a["token"], a.get("since", "1.0.0")
        yield from options(a.get("arguments", []))


def test_the_acl_allows_what_scripts_call_and_no_more():
    user = next(line for line in (ROOT / "deploy/redis/users.acl").read_text().splitlines() if line.startswith("user weir "))
    allowed = set(re.findall(r"\+(\S+)", user))
    assert allowed == {c.lower() for c in COMMANDS} | BY_CLIENT


@pytest.mark.skipif(not shutil.which("redis-cli"), reason="redis-cli is not installed")
def test_nothing_is_younger_than_redis_6_2(docs):
    assert set(docs) == {c.lower() for c in COMMANDS}
    young = [name for name, doc in docs.items() if version(doc["since"]) > OLDEST]
    for call in CALLS:
        name, *words = re.findall(r"'([A-Z]+)'", call)
        since = dict(options(docs[name.lower()].get("arguments", [])))
        young += [f"{name} {word}" for word in words if version(since.get(word, "1.0.0")) > OLDEST]
    assert young == []


def test_each_script_and_each_key_is_in_the_reference():
    page = (ROOT / "docs/redis.md").read_text()
    table = page.split("| script | who")[1].split("\n\n")[0]
    assert set(SCRIPTS) - {"prelude"} == set(re.findall(r"`([a-z]+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:])))
    keys = set(re.findall(r'\{&weir_lua_\w+, "([^"]*)"\}', (ROOT / "common/store/redis_ask.c").read_text()))
    named = {name for group in keys for name in group.split("\\0") if name} | {"meta", "limit:PROVIDER", "series:0"}
    for name in sorted(named):
        assert f"`{name}`" in page.split("## Scripts")[0], name
