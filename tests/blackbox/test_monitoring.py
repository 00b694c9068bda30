"""deploy/prometheus and deploy/grafana: what promtool says of them and of live output, and whether each metric that a
rule or a panel reads is one that a live cluster has. A real Prometheus scrapes it and answers each panel's question."""

import json
import re
import subprocess
import urllib.parse

import pytest
import yaml
from cluster import Cluster
from coordinator import Coordinator
from harness import ROOT, WAIT_S, Process, free_port, wait_for
from http1 import Client
from load import Load

RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
RULE_TESTS = sorted((ROOT / "tests/prometheus").glob("*.yml"))
DASHBOARD = ROOT / "deploy/grafana/dashboards/weir.json"

# Names that the guide fixes, with the linter's objection; all else, and each weir_* name, is to be clean.
EXEMPT = {
    "avg_connection_time_ms metric names should not contain abbreviated units",
    "avg_response_time_ms metric names should not contain abbreviated units",
    'connections_total non-counter metrics should not have "_total" suffix',
    'error_count counter metrics should have "_total" suffix',
    'error_count non-histogram and non-summary metrics should not have "_count" suffix',
    'total_requests counter metrics should have "_total" suffix',
}
# What looks like a metric in the documents and is none: KEDA's name for a trigger.
NO_METRICS = {"weir_desired_nodes"}
# Made by Prometheus itself.
OWN = {"up", "ALERTS"}
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}


def promtool(*args, text=None):
    done = subprocess.run(["promtool", *map(str, args)], input=text, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def names_read(expr):
    """The metrics that a PromQL expression reads."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', expr)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return {m.group(1) for m in re.finditer(r"(?<![\w.])([a-zA-Z_:][a-zA-Z0-9_:]*)\b(?!\s*\()", bare)} - WORDS


def labels_read(expr):
    """The labels that a PromQL expression selects or groups by: (metric, label) of selectors, and labels."""
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', expr)
    selected = {(m.group(1), label) for m in re.finditer(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}", text)
                for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", m.group(2))}
    grouped = {label.strip() for m in re.finditer(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", text)
               for label in m.group(1).split(",") if label.strip()}
    return selected, grouped


def rules():
    return [r for path in RULES for g in yaml.safe_load(path.read_text())["groups"] for r in g["rules"]]


def panels():
    return [p for p in json.loads(DASHBOARD.read_text())["panels"] if p["type"] != "row"]


def questions():
    """Each panel's expressions: (title, expression)."""
    return [(p["title"], t["expr"]) for p in panels() for t in p["targets"]]


def test_names_are_read_out_of_expressions():
    expr = 'histogram_quantile(0.9, sum by (le, job) (rate(a_bucket{x="b_total"}[5m]))) / on (job) group_left () c:d > 1e3 and up'
    assert names_read(expr) == {"a_bucket", "c:d", "up"}


def test_labels_are_read_out_of_expressions():
    expr = 'sum by (le, job) (rate(a_bucket{x="y=z",w!~".*"}[5m])) / on (job) group_left () c:d{v="1"}'
    assert labels_read(expr) == ({("a_bucket", "x"), ("a_bucket", "w"), ("c:d", "v")}, {"le", "job"})


def test_promtool_takes_configuration_and_rules():
    code, said = promtool("check", "config", ROOT / "deploy/prometheus/prometheus.yml")
    assert code == 0 and f"{len(RULES)} rule files found" in said, said
    code, said = promtool("check", "rules", *RULES)
    assert code == 0, said
    assert len(rules()) >= 40


def test_rules_do_what_their_tests_say():
    assert len(RULE_TESTS) >= 2
    code, said = promtool("test", "rules", *RULE_TESTS)
    assert code == 0, said
    tested = "\n".join(p.read_text() for p in RULE_TESTS)
    untested = [n for r in rules() if (n := r.get("alert") or r["record"]) not in tested]
    assert untested == []


def test_the_dashboard_is_the_one_that_its_script_writes():
    made = subprocess.run([ROOT / "deploy/grafana/make-dashboard"], capture_output=True, text=True, check=True).stdout
    assert made == DASHBOARD.read_text(), "run deploy/grafana/make-dashboard >deploy/grafana/dashboards/weir.json"


@pytest.mark.parametrize(
    "title,kind,span,metrics",
    [
        ("Pool utilization", "gauge", None, {"connection_pool_utilization_percent"}),
        ("Active connections", "timeseries", "1h", {"connections_active", "connections_idle", "connections_total"}),
        (
            "Connection performance",
            "timeseries",
            "24h",
            {"avg_connection_time_ms", "connection_errors_total", "connection_timeouts_total"},
        ),
        ("Pool health", "timeseries", "7d", {"pending_requests", "connections_created_total", "connections_closed_total"}),
    ],
)
def test_the_guides_panels(title, kind, span, metrics):
    (panel,) = [p for p in panels() if p["title"] == title and p["type"] == kind]
    assert panel.get("timeFrom") == span
    assert set().union(*(names_read(t["expr"]) for t in panel["targets"])) == metrics
    if kind == "gauge":
        found = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert [(s["value"], s["color"]) for s in found] == [(None, "green"), (70, "yellow"), (85, "red")]


@pytest.mark.parametrize(
    "title,bound,good",
    [
        ("Pool utilization", 80, "below"),
        ("Connection error rate", 2, "below"),
        ("Average connection time", 20, "below"),
        ("Pending requests", 5, "below"),
        ("Connection reuse rate", 90, "above"),
    ],
)
def test_the_guides_indicators(title, bound, good):
    (panel,) = [p for p in panels() if p["title"] == title and p["type"] == "stat"]
    first, second, *_ = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert second["value"] == bound and (first["color"] == "green") == (good == "below")


@pytest.mark.parametrize(
    "name,severity,bound",
    [
        ("pool_exhausted", "warning", "> 50"),
        ("high_error_rate", "critical", "> 0.05"),
        ("pool_utilization_high", "warning", "> 90"),
        ("connection_pool_exhausted", "critical", "> 50"),
        ("high_connection_errors", "warning", "> 0.05"),
        ("pool_utilization_above_target", "warning", "> 80"),
        ("connection_error_rate_above_target", "info", "> 5"),
        ("connection_time_above_target", "info", "> 50"),
        ("pending_requests_above_target", "info", "> 10"),
    ],
)
def test_the_guides_alerts(name, severity, bound):
    (rule,) = [r for r in rules() if r.get("alert") == name]
    assert rule["labels"]["severity"] == severity and rule["expr"].endswith(bound)


class Prometheus(Process):
    """With deploy/prometheus' rules, over these targets: (job, address) pairs. It scrapes often, so that rates come soon."""

    def __init__(self, stage, targets):
        self.port = free_port()
        config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(path) for path in RULES]
        for job in config["scrape_configs"]:
            found = [address for name, address in targets if name == job["job_name"]]
            job["static_configs"] = [{"targets": found, "labels": {"cluster": "weir"}}]
        path = stage.scratch / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        where = [f"--config.file={path}", f"--storage.tsdb.path={stage.scratch / 'series'}"]
        super().__init__(
            ["prometheus", *where, f"--web.listen-address=127.0.0.1:{self.port}"], stage.scratch, "prometheus"
        )
        stage.running.append(self.finish)
        self.wait_answers()  # before, a signal to end kills it

    def wait_answers(self):
        wait_for(lambda: self.get("/api/v1/status/runtimeinfo"), "Prometheus to answer")

    def get(self, path, **query):
        with Client(self.port) as c:
            r = c.get(f"{path}?{urllib.parse.urlencode(query)}")
        assert r.status == 200, r
        return r.json()["data"]

    def labels(self, metric):
        """Of all the metric's series."""
        return set().union(*self.get("/api/v1/series", **{"match[]": metric}))

    def ask(self, expr):
        """The series that answer it now."""
        for name, value in (("$__rate_interval", "1m"), ("$cluster", ".*"), ("$instance", ".*"), ("$provider", ".*")):
            expr = expr.replace(name, value)
        return self.get("/api/v1/query", query=expr)["result"]


# Hints come with the first slots of load; so short a slot brings them soon.
ANALYTICS = {"enabled": True, "sample_interval": 1}


@pytest.fixture(scope="module")
def town(module_stage):
    """Two nodes with a rate limit, a coordinator and a Prometheus, under load until the end."""
    cluster = Cluster(module_stage, redis_timeout=1)  # a busy machine's store is not away
    limited = {"base_url": module_stage.mock().url, "rate_limit": {"requests_per_minute": 600000}}
    nodes = cluster.nodes(2, {"openai": limited}, analytics=ANALYTICS)
    coordinator = Coordinator(module_stage, cluster, "one", top={"analytics": ANALYTICS}, shard_count=4)
    coordinator.wait_leads()
    targets = [("weir-node", f"127.0.0.1:{n.port}") for n in nodes]
    targets.append(("weir-coordinator", f"127.0.0.1:{coordinator.port}"))
    load = Load(nodes[0], clients=2)
    load.more(50)
    cluster.wait_map()
    # Of a provider they speak after two dozen slots, and with the next publication, which may be 10 s later.
    wait_for(lambda: "weir_hint_pool_size{" in live(nodes[0]), "hints for the provider", 3 * WAIT_S)
    yield nodes, coordinator, Prometheus(module_stage, targets)
    load.end()


def live(process):
    return process.get("/metrics/prometheus").body.decode()


def test_promtool_takes_live_output(town):
    nodes, coordinator, _ = town
    objections = set()
    for text in (live(nodes[0]), live(coordinator)):
        assert text.count("# TYPE") > 5
        objections |= set(promtool("check", "metrics", text=text)[1].splitlines())
    assert objections == EXEMPT


def test_each_metric_that_is_read_is_there(town):
    nodes, coordinator, _ = town
    text = live(nodes[0]) + live(coordinator)
    there = set(re.findall(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)[{ ]", text, re.M)) | OWN
    there |= {r["record"] for r in rules() if "record" in r}
    read = {name: title for title, expr in questions() for name in names_read(expr)}
    read |= {name: r.get("alert") or r["record"] for r in rules() for name in names_read(r["expr"])}
    assert len(read) >= 40
    assert {name: where for name, where in read.items() if name not in there} == {}


def test_each_metric_that_is_written_about_is_there(town):
    """In docs/ and deploy/kubernetes: names of metrics, of rules and of alerts; a name that ends with _ stands for many.
    docs/metrics.md is made of the table that they come from, and has those of things that this cluster lacks."""
    nodes, coordinator, _ = town
    text = live(nodes[0]) + live(coordinator)
    families = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    known = families | {r.get("alert") or r["record"] for r in rules()} | NO_METRICS
    known |= {f"{name}_{part}" for name in families for part in ("bucket", "sum", "count")}
    pages = [p for p in (ROOT / "docs").glob("*.md") if p.name != "metrics.md"]
    pages += [*(ROOT / "deploy/kubernetes").rglob("*.yaml"), ROOT / "README.md"]
    written = {name: page.name for page in pages for name in re.findall(r"\bweir_[a-z0-9_]*[a-z0-9]\b(?![*_])", page.read_text())}
    assert len(written) >= 40
    assert {name: page for name, page in written.items() if name not in known} == {}


def test_each_label_that_is_read_is_there(town):
    """In selectors, groupings, and what is said of the result: legends and annotations."""
    *_, prometheus = town
    asked = [(t["expr"], set(re.findall(r"\{\{(\w+)\}\}", t["legendFormat"]))) for p in panels() for t in p["targets"]]
    asked += [(r["expr"], set(re.findall(r"\$labels\.(\w+)", json.dumps(r.get("annotations", {}))))) for r in rules()]
    assert len(asked) >= 80
    for expr, said in asked:
        selected, grouped = labels_read(expr)
        for metric, label in selected:
            wait_for(lambda m=metric, w=label: w in prometheus.labels(m), f"label {label} of {metric}: {expr}")
        wanted = grouped | said

        def there(names=names_read(expr)):
            return set().union(*(prometheus.labels(name) for name in names))

        wait_for(lambda w=wanted, t=there: w <= t(), f"labels {wanted} of what it reads: {expr}")


def test_each_panel_shows_something(town):
    *_, prometheus = town
    wait_for(lambda: prometheus.get("/api/v1/rules")["groups"], "Prometheus to answer")
    asked = questions()
    assert len(asked) >= 40
    for title, expr in asked:
        wait_for(lambda expr=expr: prometheus.ask(expr), f"a series in panel {title!r}: {expr}")
    wrong = [r for g in prometheus.get("/api/v1/rules")["groups"] for r in g["rules"] if r["health"] == "err"]
    assert wrong == []


def test_a_healthy_cluster_raises_no_alert_but_of_time(town):
    """What a busy machine makes late is not this test's matter: loops and connections' times."""
    *_, prometheus = town
    wait_for(lambda: prometheus.ask("cluster:leaders:sum == 1"), "the rules to be evaluated")
    late = "weir_loop_lag|connection_time_above_target"
    assert prometheus.ask(f'ALERTS{{alertstate="firing",alertname!~"{late}"}}') == []


