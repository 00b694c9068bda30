"""deploy/kubernetes, without a cluster: each manifest by the schema of its kind, what they say of each other, and what
they say of weir against a node and a coordinator that run by the ConfigMap's own file."""

import json
import re
import urllib.parse

import jsonschema
import pytest
import yaml
from cluster import Redis
from harness import ROOT, Process, free_port, program, wait_for
from http1 import Client
from kubernetes import schema_of

FOLDER = ROOT / "deploy/kubernetes"
FILES = sorted(FOLDER.rglob("*.yaml"))
MANIFESTS = [(path, m) for path in FILES for m in yaml.safe_load_all(path.read_text())]
BY_KIND = [m for _, m in MANIFESTS]
TOKEN = "a-token-for-tests"


def named(kind, name):
    (found,) = [m for m in BY_KIND if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def of_kind(*kinds):
    return [m for m in BY_KIND if m["kind"] in kinds]


WORKLOADS = of_kind("StatefulSet", "Deployment")


def containers():
    return [(w, c) for w in WORKLOADS for c in w["spec"]["template"]["spec"]["containers"]]


def matched(selector):
    """The workloads whose pods have these labels."""
    return [w for w in WORKLOADS if selector.items() <= w["spec"]["template"]["metadata"]["labels"].items()]


def ports_of(workload):
    return {p["name"]: p["containerPort"] for c in workload["spec"]["template"]["spec"]["containers"] for p in c["ports"]}


def test_there_are_manifests():
    assert len(FILES) >= 6 and len(MANIFESTS) >= 14


@pytest.mark.parametrize("path,manifest", MANIFESTS, ids=[f"{p.stem}-{m['kind']}-{m['metadata']['name']}" for p, m in MANIFESTS])
def test_a_manifest_is_of_its_kind(path, manifest):
    schema = schema_of(manifest)
    assert schema, f"{path}: nobody has said what a {manifest['kind']} of {manifest['apiVersion']} is"
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(manifest, schema)


@pytest.mark.parametrize("wrong", [{"replica": 3}, {"replicas": "3"}, {"template": {"spec": {"containers": []}}}])
def test_what_is_wrong_is_refused(wrong):
    manifest = named("Deployment", "weir-coordinator")
    broken = {**manifest, "spec": {**manifest["spec"], **wrong}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema_of(manifest))


def test_selectors_find_pods():
    for w in WORKLOADS:
        assert w in matched(w["spec"]["selector"]["matchLabels"])
        for spread in w["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert matched(spread["labelSelector"]["matchLabels"]) == [w]
    for budget in of_kind("PodDisruptionBudget"):
        assert len(matched(budget["spec"]["selector"]["matchLabels"])) == 1
    for policy in of_kind("NetworkPolicy"):
        (w,) = matched(policy["spec"]["podSelector"]["matchLabels"])
        for rule in policy["spec"]["ingress"]:
            assert {p["port"] for p in rule["ports"]} <= set(ports_of(w).values())
            for peer in rule.get("from", []):
                # By its namespace: somebody who is not of ours.
                assert matched(peer["podSelector"]["matchLabels"]) if "podSelector" in peer else peer["namespaceSelector"]


def test_services_lead_to_ports():
    for service in of_kind("Service"):
        (w,) = matched(service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert ports_of(w)[port["targetPort"]] == port["port"]
    for w in of_kind("StatefulSet"):
        assert named("Service", w["spec"]["serviceName"])["spec"]["clusterIP"] == "None"


def test_what_is_named_is_there():
    for w, c in containers():
        volumes = {v["name"]: v for v in w["spec"]["template"]["spec"].get("volumes", [])}
        assert {m["name"] for m in c.get("volumeMounts", [])} == set(volumes)
        for volume in volumes.values():
            assert "configMap" not in volume or named("ConfigMap", volume["configMap"]["name"])
        for source in c.get("envFrom", []):
            assert named("Secret", source["secretRef"]["name"])
        for probe in (c[k] for k in c if k.endswith("Probe")):
            port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
            assert port is None or port in ports_of(w)
    for auth in of_kind("TriggerAuthentication"):
        for ref in auth["spec"]["secretTargetRef"]:
            assert ref["key"] in named("Secret", ref["name"])["stringData"]
    for scaler in of_kind("ScaledObject", "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        w = named(target["kind"], target["name"])
        assert w["apiVersion"] == target["apiVersion"]
        assert "replicas" not in w["spec"], "two would set it"
    for trigger in (t for s in of_kind("ScaledObject") for t in s["spec"]["triggers"]):
        assert named("TriggerAuthentication", trigger["authenticationRef"]["name"])


def configuration():
    return named("ConfigMap", "weir")["data"]["weir.yaml"]


def test_the_environment_has_what_the_file_asks_for():
    asked = set(re.findall(r"\$\{([A-Z_]+)\}", configuration()))
    for w, c in containers():
        if "/etc/weir/weir.yaml" in c["command"]:
            given = {v["name"] for v in c["env"]} | set(named("Secret", "weir")["stringData"])
            assert asked <= given, w["metadata"]["name"]


def test_the_grace_outlasts_the_drain():
    server = yaml.safe_load(configuration())["server"]
    grace = named("StatefulSet", "weir-node")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > server["drain_delay"] + server["drain_timeout"]
    # The Service must have noticed by the end of the delay.
    (_, c) = next((w, c) for w, c in containers() if c["name"] == "weir-node")
    assert c["readinessProbe"]["periodSeconds"] * c["readinessProbe"]["failureThreshold"] < server["drain_delay"]


class Pod:
    """A container's command by the ConfigMap's file, on free ports in place of the file's."""

    def __init__(self, stage, workload, redis):
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        self.names = ports_of(workload)
        self.ports = {port: free_port() for port in self.names.values()}
        text = configuration()
        for port in re.findall(r'"0\.0\.0\.0:(\d+)"', text):
            text = text.replace(f'"0.0.0.0:{port}"', f'"127.0.0.1:{self.ports.get(int(port)) or free_port()}"')
        # A first hint comes with the first slots of load.
        assert "analytics: {enabled: true}" in text
        text = text.replace("analytics: {enabled: true}", "analytics: {enabled: true, sample_interval: 1}")
        path = stage.scratch / f"{container['name']}.yaml"
        path.write_text(text)
        env = {**named("Secret", "weir")["stringData"], "REDIS_URL": redis.url, "ADMIN_TOKEN": TOKEN}
        env |= {"POD_NAME": container["name"], "POD_IP": "127.0.0.1"}
        name, *args = [str(path) if a == "/etc/weir/weir.yaml" else a for a in container["command"]]
        self.process = Process([program(name), *args], stage.scratch, container["name"], env=env)
        self.container = container
        # Not an orderly end: the file's drain takes longer than a test may.
        stage.running.append(self.end)

    def end(self):
        self.process.popen.kill()
        self.process.popen.wait()
        self.process.check_report()

    def get(self, port, target, **options):
        """At a port of the container, by its number or name."""
        with Client(self.ports[self.names.get(port, port)]) as c:
            return c.get(target, **options)


@pytest.fixture(scope="module")
def pods(module_stage):
    redis = Redis(module_stage.scratch)
    module_stage.running.append(redis.finish)
    return [Pod(module_stage, w, redis) for w in WORKLOADS if w["metadata"]["name"].startswith("weir")]


def test_probes_are_answered(pods):
    asked = 0
    for pod in pods:
        for probe in (pod.container[k]["httpGet"] for k in pod.container if k.endswith("Probe")):
            at, name = (probe["port"], probe["path"]), pod.container["name"]
            wait_for(lambda pod=pod, at=at: pod.get(*at).status == 200, f"200 of {name} at {at}")
            asked += 1
    assert asked == 5


def at_path(text, path):
    """What KEDA finds there: GJSON's path syntax, of which only keys joined by dots may be used here; None: nothing."""
    assert re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", path), f"{path} means more in GJSON than keys"
    found = json.loads(text)
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found


def trigger():
    ((found,),) = [s["spec"]["triggers"] for s in of_kind("ScaledObject")]
    return found["metadata"]


def test_keda_reads_the_number_of_nodes(pods):
    """Of a hint that the coordinator has made for the one node that there is."""
    node = next(p for p in pods if p.container["name"] == "weir-node")
    url, location = urllib.parse.urlsplit(trigger()["url"]), trigger()["valueLocation"]

    def read():
        r = node.get(url.port, url.path, headers=[("authorization", f"Bearer {TOKEN}")])
        assert r.status == 200, r
        return at_path(r.body.decode(), location)

    assert wait_for(read, "a hint") == 1
    assert float(trigger()["targetValue"]) == 1
    # Not a number: KEDA takes it for a failure, and holds on to its fallback, which takes no nodes away.
    assert at_path('{"schema": 1, "valid": false, "reason": "no hints yet"}', location) is None
    spec = named("ScaledObject", "weir-node")["spec"]
    assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"


def test_clients_see_no_admin_page(pods):
    """Their port has none, and the policy opens the other one to named namespaces alone."""
    node = next(p for p in pods if p.container["name"] == "weir-node")
    wait_for(lambda: node.get("admin", "/health/ready").status == 200, "the node")
    for page in ("/metrics", "/api/alerts", "/api/cluster/nodes"):
        assert node.get("admin", page).status == 200 and node.get("http", page).status != 200  # from loopback, both
    rules = named("NetworkPolicy", "weir-node")["spec"]["ingress"]
    (admin,) = [rule for rule in rules if {"protocol": "TCP", "port": 8001} in rule["ports"]]
    assert len(admin["ports"]) == 1 and all("namespaceSelector" in peer for peer in admin["from"])
    assert all("from" in rule for rule in rules if rule["ports"] != [{"protocol": "TCP", "port": 8000}])


def test_keda_asks_where_nodes_answer():
    url = urllib.parse.urlsplit(trigger()["url"])
    name, _, domain = url.hostname.partition(".")
    service = named("Service", name)
    assert domain == "default.svc"  # from KEDA's namespace a name alone leads nowhere
    assert url.port in [p["port"] for p in service["spec"]["ports"]]
    (w,) = matched(service["spec"]["selector"])
    assert w["metadata"]["name"] == "weir-node" and trigger()["authMode"] == "bearer"
