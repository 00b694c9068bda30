"""What deploy/kubernetes may say: the part of Kubernetes' and KEDA's APIs that it uses, as a JSON schema for each kind.

Objects are closed: a key that is not listed is an error, as it is for an API server that validates strictly. Whoever uses
one more key looks it up in the API's reference and adds it here.
"""

TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
POSITIVE = {"type": "integer", "minimum": 1}
FLAG = {"type": "boolean"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
# RFC 1123 and, for ports, RFC 6335.
NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
PORT_NAME = {"type": "string", "pattern": r"^(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$"}
PORT_REF = {"anyOf": [PORT, PORT_NAME]}
LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
LABELS = {
    "type": "object",
    "minProperties": 1,
    "patternProperties": {LABEL_KEY: {"type": "string", "pattern": r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"}},
    "additionalProperties": False,
}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$"}


def closed(required=(), **properties):
    """An object with these keys and no others; `required` are those that must be there."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def several(item):
    return {"type": "array", "items": item, "minItems": 1}


def one_of(*values):
    return {"enum": list(values)}


def only_one(**properties):
    """An object with exactly one of these keys."""
    return {**closed(**properties), "minProperties": 1, "maxProperties": 1}


SELECTOR = closed(["matchLabels"], matchLabels=LABELS)
METADATA = closed(["name", "labels"], name=NAME, labels=LABELS)

PROBE = {
    **closed(
        httpGet=closed(["path", "port"], path={"type": "string", "pattern": "^/"}, port=PORT_REF),
        tcpSocket=closed(["port"], port=PORT_REF),
        exec=closed(["command"], command=several(TEXT)),
        periodSeconds=POSITIVE,
        timeoutSeconds=POSITIVE,
        failureThreshold=POSITIVE,
    ),
    "oneOf": [{"required": [how]} for how in ("httpGet", "tcpSocket", "exec")],
}
VARIABLE = closed(
    ["name"],
    name={"type": "string", "pattern": "^[A-Z_][A-Z0-9_]*$"},
    value={"type": "string"},
    valueFrom=only_one(fieldRef=closed(["fieldPath"], fieldPath=one_of("metadata.name", "status.podIP"))),
)
# What the restricted pod security standard asks for is required here.
CONTAINER = closed(
    ["name", "image", "command", "resources", "securityContext", "livenessProbe", "readinessProbe"],
    name=NAME,
    image=TEXT,
    command=several({"type": "string"}),
    env=several(VARIABLE),
    envFrom=several(only_one(secretRef=closed(["name"], name=NAME), configMapRef=closed(["name"], name=NAME))),
    ports=several(closed(["containerPort"], name=PORT_NAME, containerPort=PORT, protocol=one_of("TCP", "UDP"))),
    startupProbe=PROBE,
    livenessProbe=PROBE,
    readinessProbe=PROBE,
    resources=closed(
        ["requests", "limits"],
        requests=closed(cpu=QUANTITY, memory=QUANTITY),
        limits=closed(["memory"], cpu=QUANTITY, memory=QUANTITY),
    ),
    securityContext=closed(
        ["allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"],
        allowPrivilegeEscalation={"const": False},
        readOnlyRootFilesystem={"const": True},
        capabilities=closed(["drop"], drop={"const": ["ALL"]}),
    ),
    volumeMounts=several(closed(["name", "mountPath"], name=NAME, mountPath={"type": "string", "pattern": "^/"}, readOnly=FLAG)),
)
POD = closed(
    ["metadata", "spec"],
    metadata=closed(["labels"], labels=LABELS),
    spec=closed(
        ["containers", "securityContext"],
        terminationGracePeriodSeconds=COUNT,
        automountServiceAccountToken=FLAG,
        securityContext=closed(
            ["runAsNonRoot", "seccompProfile"],
            runAsNonRoot={"const": True},
            runAsUser=POSITIVE,
            runAsGroup=POSITIVE,
            seccompProfile=closed(["type"], type={"const": "RuntimeDefault"}),
        ),
        topologySpreadConstraints=several(
            closed(
                ["maxSkew", "topologyKey", "whenUnsatisfiable"],
                maxSkew=POSITIVE,
                topologyKey=TEXT,
                whenUnsatisfiable=one_of("DoNotSchedule", "ScheduleAnyway"),
                labelSelector=SELECTOR,
            )
        ),
        containers=several(CONTAINER),
        volumes=several(
            closed(["name"], name=NAME, configMap=closed(["name"], name=NAME), emptyDir=closed())
        ),
    ),
)
POLICIES = closed(
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    selectPolicy=one_of("Max", "Min", "Disabled"),
    policies=several(
        closed(
            ["type", "value", "periodSeconds"],
            type=one_of("Pods", "Percent"),
            value=POSITIVE,
            periodSeconds={"type": "integer", "minimum": 1, "maximum": 1800},
        )
    ),
)
BEHAVIOR = closed(scaleUp=POLICIES, scaleDown=POLICIES)
TARGET = closed(["kind", "name"], apiVersion=TEXT, kind=one_of("StatefulSet", "Deployment"), name=NAME)
METRIC = {
    "oneOf": [
        closed(
            ["type", "external"],
            type={"const": "External"},
            external=closed(
                ["metric", "target"],
                metric=closed(["name"], name=TEXT),
                target=closed(["type", "averageValue"], type={"const": "AverageValue"}, averageValue=QUANTITY),
            ),
        ),
        closed(
            ["type", "resource"],
            type={"const": "Resource"},
            resource=closed(
                ["name", "target"],
                name=one_of("cpu", "memory"),
                target=closed(["type", "averageUtilization"], type={"const": "Utilization"}, averageUtilization=POSITIVE),
            ),
        ),
    ]
}
POLICY_PORTS = several(closed(["port"], protocol=one_of("TCP", "UDP", "SCTP"), port=PORT_REF))
TRIGGER = closed(
    ["type", "metadata"],
    type={"const": "metrics-api"},
    # KEDA takes texts only here, numbers too.
    metadata=closed(
        ["url", "valueLocation", "targetValue"],
        url=TEXT,
        valueLocation=TEXT,
        targetValue=TEXT,
        authMode=one_of("apiKey", "basic", "tls", "bearer"),
    ),
    authenticationRef=closed(["name"], name=NAME),
)

# (apiVersion, kind): what there is beside these two and metadata.
KINDS = {
    ("v1", "ConfigMap"): closed(["data"], data=TEXTS),
    ("v1", "Secret"): closed(["stringData"], type={"const": "Opaque"}, stringData=TEXTS),
    ("v1", "Service"): closed(
        ["spec"],
        spec=closed(
            ["selector", "ports"],
            selector=LABELS,
            clusterIP={"const": "None"},
            publishNotReadyAddresses=FLAG,
            ports=several(closed(["name", "port", "targetPort"], name=PORT_NAME, port=PORT, targetPort=PORT_REF)),
        ),
    ),
    ("apps/v1", "StatefulSet"): closed(
        ["spec"],
        spec=closed(
            ["serviceName", "selector", "template"],
            replicas=COUNT,
            serviceName=NAME,
            podManagementPolicy=one_of("OrderedReady", "Parallel"),
            selector=SELECTOR,
            template=POD,
        ),
    ),
    ("apps/v1", "Deployment"): closed(
        ["spec"],
        spec=closed(
            ["selector", "template"],
            replicas=COUNT,
            strategy=closed(["type"], type=one_of("Recreate", "RollingUpdate")),
            selector=SELECTOR,
            template=POD,
        ),
    ),
    ("policy/v1", "PodDisruptionBudget"): closed(
        ["spec"], spec=closed(["maxUnavailable", "selector"], maxUnavailable=POSITIVE, selector=SELECTOR)
    ),
    ("networking.k8s.io/v1", "NetworkPolicy"): closed(
        ["spec"],
        spec=closed(
            ["podSelector", "policyTypes"],
            podSelector=SELECTOR,
            policyTypes=several(one_of("Ingress", "Egress")),
            ingress=several(closed(**{"from": several(closed(podSelector=SELECTOR, namespaceSelector=SELECTOR)), "ports": POLICY_PORTS})),
        ),
    ),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): closed(
        ["spec"],
        spec=closed(
            ["scaleTargetRef", "maxReplicas", "metrics"],
            scaleTargetRef=TARGET,
            minReplicas=POSITIVE,
            maxReplicas=POSITIVE,
            metrics=several(METRIC),
            behavior=BEHAVIOR,
        ),
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): closed(
        ["spec"],
        spec=closed(
            ["scaleTargetRef", "triggers"],
            scaleTargetRef=TARGET,
            minReplicaCount=COUNT,
            maxReplicaCount=POSITIVE,
            pollingInterval=POSITIVE,
            cooldownPeriod=COUNT,
            fallback=closed(
                ["failureThreshold", "replicas"],
                failureThreshold=POSITIVE,
                replicas=POSITIVE,
                behavior=one_of("static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"),
            ),
            advanced=closed(horizontalPodAutoscalerConfig=closed(behavior=BEHAVIOR)),
            triggers=several(TRIGGER),
        ),
    ),
    ("keda.sh/v1alpha1", "TriggerAuthentication"): closed(
        ["spec"],
        spec=closed(secretTargetRef=several(closed(["parameter", "name", "key"], parameter=TEXT, name=NAME, key=TEXT))),
    ),
}


def schema_of(manifest):
    """The schema of a whole manifest; None: of a kind that is not known."""
    api, kind = manifest.get("apiVersion"), manifest.get("kind")
    if (api, kind) not in KINDS:
        return None
    body = KINDS[api, kind]
    properties = {"apiVersion": {"const": api}, "kind": {"const": kind}, "metadata": METADATA, **body["properties"]}
    return closed(["metadata", *body["required"]], **properties)
