"""deploy/grafana's dashboard as Grafana takes it: by the types that it publishes, and by what those do not say. Whether its
questions have answers is test_monitoring.py's matter."""

import itertools
import json
import re
import subprocess

import pytest
import yaml
from browser import packages
from harness import ROOT, WAIT_S

GRAFANA = ROOT / "deploy/grafana"
DASHBOARD = GRAFANA / "dashboards/weir.json"
# Of Grafana's units, those in use here; a unit that it does not know it writes behind the number.
UNITS = {"short", "percent", "s", "ms", "bytes", "reqps", "ops"}
COLORS = {"green", "yellow", "red"}
WIDTH = 24


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(DASHBOARD.read_text())


def faults(path):
    """What @grafana/schema says against it."""
    ran = subprocess.run(["node", "grafana.mjs", path], cwd=packages(), capture_output=True, text=True, timeout=4 * WAIT_S)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_it_is_of_grafanas_types():
    assert faults(DASHBOARD) == []


def test_a_fault_is_seen(tmp_path, dashboard):
    (first, *_) = [p for p in dashboard["panels"] if p["type"] == "stat"]
    first["options"]["colorMode"] = "rainbow"
    path = tmp_path / "weir.json"
    path.write_text(json.dumps(dashboard))
    (fault,) = faults(path)
    assert '"rainbow"' in fault


def test_its_source_is_the_one_that_is_provisioned(dashboard):
    provisioned = yaml.safe_load(next((GRAFANA / "provisioning/datasources").iterdir()).read_text())["datasources"]
    known = {(s["type"], s["uid"]) for s in provisioned}
    panels = [p for p in dashboard["panels"] if p["type"] != "row"]
    users = [*panels, *(t for p in panels for t in p["targets"]), *dashboard["annotations"]["list"], *dashboard["templating"]["list"]]
    assert {(u["datasource"]["type"], u["datasource"]["uid"]) for u in users} == known


def test_each_panel_has_a_place_of_its_own(dashboard):
    places = [p["gridPos"] for p in dashboard["panels"]]
    assert all(p["x"] >= 0 and p["y"] >= 0 and p["w"] > 0 and p["h"] > 0 and p["x"] + p["w"] <= WIDTH for p in places)
    for p, q in itertools.combinations(places, 2):
        beside = p["x"] + p["w"] <= q["x"] or q["x"] + q["w"] <= p["x"]
        assert beside or p["y"] + p["h"] <= q["y"] or q["y"] + q["h"] <= p["y"], (p, q)
    ids = [p["id"] for p in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_what_no_type_says(dashboard):
    """Units, colours, time ranges, thresholds and variables."""
    variables = {v["name"] for v in dashboard["templating"]["list"]} | {"__rate_interval"}
    asked = [v["query"]["query"] for v in dashboard["templating"]["list"]] + [a["expr"] for a in dashboard["annotations"]["list"]]
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        assert re.fullmatch(r"[1-9]\d*[smhdwMy]", panel.get("timeFrom", "1h"))
        steps = defaults.get("thresholds", {"steps": [{"value": None, "color": "green"}]})["steps"]
        assert {s["color"] for s in steps} <= COLORS
        bounds = [s["value"] for s in steps]
        assert bounds[0] is None and bounds[1:] == sorted(set(bounds[1:]))
        refs = [t["refId"] for t in panel["targets"]]
        assert len(refs) == len(set(refs))
        asked += [t["expr"] for t in panel["targets"]]
    used = set(re.findall(r"\$\{?(\w+)", " ".join(asked)))
    assert used <= variables and len(used) == 4
