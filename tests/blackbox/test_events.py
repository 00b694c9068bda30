"""docs/events.md against the source: every log event with its level and fields, and every code of x-weir-error."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/events.md").read_text()
FOLDERS = ("node", "common", "coordinator")
SOURCES = {p.relative_to(ROOT).as_posix(): p.read_text() for d in FOLDERS for p in sorted((ROOT / d).rglob("*.c"))}
LEVELS = {"WEIR_LOG_DEBUG": "debug", "WEIR_LOG_INFO": "info", "WEIR_LOG_WARN": "warning", "WEIR_LOG_ERROR": "error"}
# Files whose lines take their event from a table or a variable, where that is, and what its names look like there.
POSTED = r'= \{?"((?:webhook|tracing)_\w+)"'
INDIRECT = {
    "node/access_log.c": {"common/core/monitor.c": r'e\.event = "(\w+)"'},
    "coordinator/coordinator_tell.c": {"coordinator/coordinator_tell.c": r'\] = \{"(\w+)", (WEIR_LOG_\w+)'},
    "node/circuit_tell.c": {"node/circuit_tell.c": r'\] = \{"(circuit_\w+)", (WEIR_LOG_\w+)'},
    "node/cluster_tell.c": {"node/cluster_tell.c": r'\] = \{"(\w+)",\s*(WEIR_LOG_\w+)'},
    "node/health.c": {"node/health.c": r'\] = \{"(endpoint_\w+)", "[^"]*",\s*(WEIR_LOG_\w+)'},
    "node/webhook.c": {"node/alerts.c": POSTED, "node/tracing.c": POSTED},
}


def arguments(text, at):
    """The arguments of a call whose parenthesis opens at `at`."""
    found, depth, start = [], 0, at + 1
    for m in re.compile(r'"(?:\\.|[^"\\])*"|[(){}\[\],]').finditer(text, at):
        token = m.group()
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        if (token == "," and depth == 1) or depth == 0:
            found.append(text[start : m.start()].strip())
            start = m.end()
        if depth == 0:
            return found
    raise AssertionError(f"no end of a call: {text[at : at + 80]}")


def calls(pattern):
    """File, match, arguments and what follows of each call whose name matches."""
    for path, text in SOURCES.items():
        for m in re.finditer(rf"^ .*?\b({pattern})\(", text, re.M):
            yield path, m, arguments(text, m.end() - 1), text[m.end() :]


def words(argument):
    return re.findall(r'"([a-z][a-z0-9_]*)"', argument)


def events():
    """Of each event in the source: its levels, and the fields that its line is certain to be given."""
    found, indirect = {"access": ({"info"}, set())}, set()

    def add(event, level, keys=()):
        levels, fields = found.setdefault(event, (set(), set()))
        levels.update(LEVELS[word] for word in re.findall(r"WEIR_LOG_[A-Z]+", level))
        fields.update(keys)

    for path, call, args, rest in calls("weir_log_begin|weir_log_simple"):
        if path == "common/net/log.c":
            continue
        name, before = call.group(1), SOURCES[path][: call.start()]
        level, event = args[2:4] if name == "weir_log_begin" else args[1:3]
        body = rest[: rest.index("weir_log_end(")] if name == "weir_log_begin" else ""
        body = re.split(r"\n}", body)[0]  # a line that another function ends
        keys = re.findall(r'weir_log_(?:str|text|u64|i64|double|bool)\(&l, "(\w+)"', body)
        if not words(event):
            indirect.add(path)
        # One of several beginnings of a line: which of them has which field, only the page says.
        several = len(words(event)) > 1 or "weir_log_begin(" in body
        several = several or before.rfind("weir_log_begin(") > before.rfind("weir_log_end(")
        for event_name in words(event):
            add(event_name, "" if len(words(event)) > 1 or "?" in level else level, () if several else keys)
    assert indirect == set(INDIRECT), "a line whose event is not a literal: INDIRECT wants to know where it comes from"
    for path, pattern in (place for places in INDIRECT.values() for place in places.items()):
        names = re.findall(pattern, SOURCES[path])
        assert names, f"nothing like {pattern} in {path}"
        for one in names:
            add(one if isinstance(one, str) else one[0], "" if isinstance(one, str) else one[1])
    return found


def codes():
    found = set()
    for path, _, args, _ in calls("weir_request_fail"):
        found.update(words(args[2]))
    for path, text in SOURCES.items():
        found.update(re.findall(r'\bcode = "(\w+)"', text))
        found.update(re.findall(r'struct weir_malformed \w+ = \{\d+,\s*"(\w+)"', text))
        if path.startswith("node/request"):
            found.update(re.findall(r'"((?:timeout|upstream)_(?!error")[a-z]+)"', text))
    return found


def rows(columns):
    """The page's rows with so many columns, by their first one."""
    found = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == columns:
            name = cells[0].strip("`")
            assert name not in found, f"{name} stands there twice"
            found[name] = cells[1:]
    return found


def test_the_scan_sees_what_it_should():
    found = events()
    assert {"alert_firing", "alert_resolved", "circuit_opened", "endpoint_spared", "pool_health", "reload"} <= set(found)
    assert found["drain_timeout"] == ({"warning"}, {"clients", "requests"})
    assert {"pool_full", "malformed_host", "timeout_read", "upstream_reset", "connect_failed"} <= codes()
    assert arguments('f(a, g("x, y", (b)), "c")', 1) == ["a", 'g("x, y", (b))', '"c"']


def test_every_event_is_on_the_page():
    assert sorted(rows(4)) == sorted(events())


def test_levels_and_fields_agree():
    page, wrong = rows(4), []
    for event, (levels, fields) in events().items():
        level, told, _ = page[event]
        if level != "by severity" and not levels <= set(level.split(", ")):
            wrong.append(f"{event} is logged as {sorted(levels)}, the page says {level}")
        wrong += [f"{event} has {field}, which the page lacks" for field in fields - set(re.findall(r"`(\w+)`", told))]
    assert not wrong, "\n".join(wrong)


def test_the_fields_of_the_access_line():
    (told,) = [row[1] for event, row in rows(4).items() if event == "access"]
    text = SOURCES["common/core/access_line.c"]
    assert re.findall(r"`(\w+)`", told) == re.findall(r'(?:TEXT|NUMBER|MS|PHASE)\(l, "(\w+)"', text)


def test_every_code_is_on_the_page():
    assert sorted(rows(3)) == sorted(codes())


def test_statuses_agree():
    page, wrong = rows(3), []
    for _, _, args, _ in calls("weir_request_fail"):
        for code in words(args[2]):
            if args[1].isdigit() and page[code][0] != args[1]:
                wrong.append(f"{code} is {args[1]}, the page says {page[code][0]}")
    for text in SOURCES.values():
        for status, code in re.findall(r'struct weir_malformed \w+ = \{(\d+),\s*"(\w+)"', text):
            if page[code][0] != status:
                wrong.append(f"{code} is {status}, the page says {page[code][0]}")
    assert not wrong, "\n".join(wrong)
