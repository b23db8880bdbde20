"""Compares available with required capacity: database connections, shutdown time, replicas, lanes."""

from math import ceil

import yaml
from render import K8S, find

# Connections within max_connections that are reserved for superusers, and for the operator, its exporter and administrators.
SUPERUSER_CONNECTIONS = 3
OPERATION_CONNECTIONS = 12
# A migration uses one connection for its lock and one for its work.
MIGRATION_CONNECTIONS = 2
# The part of the shutdown time that is left for the kernel and the container runtime.
STOP_SLACK_SECONDS = 5
SERVICES = ("tiris-api", "tiris-ingest")
GIBIBYTE = 1024**3
# The default of TIRIS_DEAD_LETTER_STREAM_BYTES.
DEAD_LETTER_BYTES = GIBIBYTE
# The part of the broker's store that its streams may fill.
STORE_SHARE = 0.9


def check(manifests):
    """Yields every limit that is exceeded."""
    yield from connections(manifests)
    for name in SERVICES:
        yield from stopping(manifests, name)
    yield from scaling(manifests)
    yield from store(manifests)


def settings(manifests, name):
    """Returns the settings of a service."""
    container = find(manifests, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]
    given = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            given |= find(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    return given | {one["name"]: one.get("value", "") for one in container.get("env", [])}


def replicas(manifests, name):
    """Returns the minimum and maximum number of processes of a service, by its autoscaler."""
    for manifest in manifests:
        spec = manifest["spec"] if "spec" in manifest else {}
        if spec.get("scaleTargetRef", {}).get("name") == name:
            if manifest["kind"] == "HorizontalPodAutoscaler":
                return spec["minReplicas"], spec["maxReplicas"]
            if manifest["kind"] == "ScaledObject":
                return spec["minReplicaCount"], spec["maxReplicaCount"]
    raise SystemExit(f"nothing scales {name}")


def processes_at_once(manifests, name):
    """Returns the maximum number of processes during a rollout, which starts new ones while old ones stop."""
    spec = find(manifests, "Deployment", name)["spec"]
    most = replicas(manifests, name)[1]
    grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
    stopping_at_once = ceil(grace / spec["minReadySeconds"])
    return most + spec["strategy"]["rollingUpdate"]["maxSurge"] + min(most, stopping_at_once)


def needed(manifests):
    """Returns the required connections of the primary and of a standby."""
    primary = SUPERUSER_CONNECTIONS + OPERATION_CONNECTIONS + MIGRATION_CONNECTIONS
    standby = SUPERUSER_CONNECTIONS + OPERATION_CONNECTIONS
    for name in SERVICES:
        given = settings(manifests, name)
        pools = processes_at_once(manifests, name) * int(given["TIRIS_DATABASE_CONNECTIONS"])
        primary += pools
        standby += pools if "DATABASE_REPLICA_URL" in given else 0
    return primary, standby


def connections(manifests):
    cluster = find(manifests, "Cluster", "tiris-db")["spec"]
    there = int(cluster["postgresql"]["parameters"]["max_connections"])
    primary, standby = needed(manifests)
    if max(primary, standby) > there:
        yield f"max_connections is {there}, but all processes together may use {primary} ({standby} on a standby)"


def stopping(manifests, name):
    pod = find(manifests, "Deployment", name)["spec"]["template"]["spec"]
    hook = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain = int(settings(manifests, name)["TIRIS_SHUTDOWN_SECONDS"])
    least = hook + drain + STOP_SLACK_SECONDS
    if pod["terminationGracePeriodSeconds"] < least:
        given = pod["terminationGracePeriodSeconds"]
        yield f"{name}: terminationGracePeriodSeconds is {given}, less than preStop and drain need: {least}"
    if name == "tiris-api" and hook == 0:
        yield f"{name}: without preStop it receives requests after it stopped accepting them"


def store(manifests):
    """Compares the limits of the streams with the store of the broker, which refuses everybody's events when it is full."""
    environment = find(manifests, "Deployment", "tiris-ingest")["metadata"]["namespace"].removeprefix("tiris-")
    values = yaml.safe_load((K8S / f"nats/values-{environment}.yaml").read_text())
    size = int(values["config"]["jetstream"]["fileStore"]["pvc"]["size"].removesuffix("Gi")) * GIBIBYTE
    given = settings(manifests, "tiris-ingest")
    events = int(given.get("TIRIS_STREAM_BYTES", 0))
    if events == 0:
        yield "tiris-ingest: without TIRIS_STREAM_BYTES one stream can fill the store of the broker"
    most = 2 * events + int(given.get("TIRIS_DEAD_LETTER_STREAM_BYTES", DEAD_LETTER_BYTES))
    if most > STORE_SHARE * size:
        yield f"tiris-ingest: the streams may grow to {most} bytes, too many for a store of {size}"


def scaling(manifests):
    for name in SERVICES:
        fewest, most = replicas(manifests, name)
        if not 2 <= fewest <= most:
            yield f"{name}: between {fewest} and {most} processes; a single process is unavailable while it is replaced"
        spec = find(manifests, "Deployment", name)["spec"]
        if "replicas" in spec:
            yield f"{name}: the autoscaler sets replicas, which a rollout would reset"
        if find(manifests, "PodDisruptionBudget", name) is None:
            yield f"{name}: no PodDisruptionBudget"
    lanes = int(settings(manifests, "tiris-ingest")["TIRIS_LANES"])
    most = replicas(manifests, "tiris-ingest")[1]
    if most > lanes:
        yield f"tiris-ingest: {most} processes share {lanes} lanes; the others would be idle"
    copies = int(settings(manifests, "tiris-ingest")["TIRIS_STREAM_REPLICAS"])
    if copies < 3:
        yield f"tiris-ingest: TIRIS_STREAM_REPLICAS is {copies}; an acknowledged event needs three copies"
    database = find(manifests, "Cluster", "tiris-db")["spec"]
    if database["instances"] < 3 or "synchronous" not in database["postgresql"]:
        yield "tiris-db: needs three instances and a synchronous standby"
