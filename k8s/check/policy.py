"""Rules for our manifests beyond their schemas: containers, images, probes, settings and names."""

import re
from render import K8S, find, name_of

# Placeholders that an overlay must replace.
PLACEHOLDERS = re.compile(r'(^|//|[.="])namespace([-./"]|$)|\.domain$|REPLACE')
VARIABLE = re.compile(r"\$\(([A-Z_]+)\)")
DECLARED = re.compile(r'env = "([A-Z_]+)"')
# Variables that libraries read.
OF_LIBRARIES = {"SSL_CERT_FILE"}
# Variables that other variables refer to.
PARTS = {"DATABASE_PASSWORD", "NATS_PASSWORD"}
SOURCES = ("api/src", "ingest/src", "migrations/src", "shared/domain/src", "shared/runtime/src", "shared/store/src")
STEPS = {"platform", "migrate", "services"}


def check(manifests):
    """Yields every violation of a rule."""
    for manifest in manifests:
        for problem in of_manifest(manifest):
            yield f"{name_of(manifest)}: {problem}"
    yield from of_pods(manifests)
    yield from unknown_settings(manifests)
    yield from missing_secrets(manifests)


def of_pods(manifests):
    """Yields every violation of a rule for pods."""
    for manifest in manifests:
        pod = manifest.get("spec", {}).get("template", {}).get("spec")
        if pod and manifest["kind"] in ("Deployment", "Job"):
            for problem in of_pod(pod, manifest, manifests):
                yield f"{name_of(manifest)}: {problem}"


def of_manifest(manifest):
    if manifest["metadata"].get("labels", {}).get("tiris.ai/step") not in STEPS:
        yield f"label tiris.ai/step must be one of {', '.join(sorted(STEPS))}, or k8s/deploy does not apply it"
    for path, text in texts(manifest):
        if PLACEHOLDERS.search(text):
            yield f"{path} still contains a placeholder: {text}"


def texts(value, path=""):
    """Yields every string of a manifest with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{path}.{index}")
    elif isinstance(value, str):
        yield path, value


def of_pod(pod, manifest, manifests):
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken must be false: our programs do not use the API of the cluster"
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "must not run as root: securityContext.runAsNonRoot and a runAsUser other than 0"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "securityContext.seccompProfile.type must be RuntimeDefault"
    for flag in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(flag):
            yield f"{flag} must not be set"
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']}: hostPath gives access to the node"
        secret = volume.get("secret", {})
        if secret.get("secretName", "").endswith(("-ca", "-tls")) and not secret.get("items"):
            yield f"volume {volume['name']}: name the certificate in items, or the pod gets the key as well"
    is_service = manifest["kind"] == "Deployment"
    for container in pod["containers"] + pod.get("initContainers", []):
        for problem in of_container(container, is_service, manifests):
            yield f"container {container['name']}: {problem}"


def of_container(container, is_service, manifests):
    yield from of_image(container.get("image", ""))
    security = container.get("securityContext", {})
    if security.get("readOnlyRootFilesystem") is not True:
        yield "securityContext.readOnlyRootFilesystem must be true"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation must be false"
    if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
        yield "all capabilities must be dropped, and none added"
    resources = container.get("resources", {})
    for kind in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            if resource not in resources.get(kind, {}):
                yield f"resources.{kind}.{resource} is missing"
    if is_service:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe not in container:
                yield f"{probe} is missing"
        # An unavailable database must not restart the processes that wait for it.
        if "ready" in str(container.get("livenessProbe")):
            yield "livenessProbe must not use /health/ready"
    yield from of_variables(container, manifests)


def of_image(image):
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not digest and not tag:
        yield f"image {image} has no tag"
    elif tag == "latest":
        yield f"image {image}: latest is not a fixed version"


def of_variables(container, manifests):
    """Yields references `$(NAME)` to variables that are not defined before them."""
    known = set()
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            settings = find(manifests, "ConfigMap", source["configMapRef"]["name"])
            if settings is None:
                yield f"ConfigMap {source['configMapRef']['name']} is missing"
            else:
                known |= set(settings["data"])
    for variable in container.get("env", []):
        for used in VARIABLE.findall(variable.get("value", "")):
            if used not in known:
                yield f"{variable['name']} uses $({used}), which is not defined before it"
        known.add(variable["name"])


def unknown_settings(manifests):
    declared = set(OF_LIBRARIES | PARTS)
    for folder in SOURCES:
        for file in (K8S.parent / folder).rglob("*.rs"):
            declared |= set(DECLARED.findall(file.read_text()))
    for manifest in manifests:
        given = set()
        if manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"].startswith("tiris-"):
            given = set(manifest["data"])
        for container in manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            given |= {variable["name"] for variable in container.get("env", [])}
        for name in sorted(given - declared):
            yield f"{name_of(manifest)}: no program reads {name}"


def missing_secrets(manifests):
    """Yields secrets that pods need but nothing creates."""
    created = {"tiris-db-app", "tiris-db-ca"}
    for manifest in manifests:
        if manifest["kind"] == "ExternalSecret":
            created.add(manifest["spec"]["target"]["name"])
        elif manifest["kind"] == "Certificate":
            created.add(manifest["spec"]["secretName"])
    for manifest in manifests:
        for path, text in texts(manifest.get("spec", {}).get("template", {})):
            keys = ("secret.secretName", "secretRef.name", "secretKeyRef.name")
            if path.endswith(keys) and text not in created:
                yield f"{name_of(manifest)}: nothing creates the secret {text}"
