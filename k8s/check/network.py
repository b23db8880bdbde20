"""Compares the paths that NetworkPolicies open with the table in README.md."""

import re

from render import K8S

HEADING = "## Which network paths are open?"
EVERYTHING = "0.0.0.0/0"
# Labels that identify our pods; the value is the name in the table.
POD_LABELS = ("app.kubernetes.io/name", "tiris.ai/part")
# Pods of the NATS chart, which is not rendered here.
OF_CHARTS = {"nats"}
WORDS = {("acme.cert-manager.io/http01-solver", "true"): "certificate solver", ("k8s-app", "kube-dns"): "kube-dns"}


def check(manifests, namespace):
    """Yields paths that are missing on one side, and pods without a policy."""
    policies = [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]
    opened = {path.replace(namespace, "NAMESPACE") for policy in policies for path in paths(policy)}
    listed = documented()
    for path in sorted(opened - listed):
        yield f"README.md does not list an open path: {path}"
    for path in sorted(listed - opened):
        yield f"README.md lists a path that no policy opens: {path}"
    words = {end for path in opened for end in path.rsplit(" | ", 1)[0].split(" | ") if is_inside(end)}
    for word in sorted(words - pod_names(manifests) - OF_CHARTS - {"every pod", *WORDS.values()}):
        yield f"a policy selects pods that do not exist: {word}"
    if not any(denies_by_default(policy["spec"]) for policy in policies):
        yield "no policy denies all other traffic"


def denies_by_default(spec):
    everything = spec["podSelector"] == {} and set(spec.get("policyTypes", [])) == {"Ingress", "Egress"}
    return everything and "ingress" not in spec and "egress" not in spec


def pod_names(manifests):
    """Returns the names of the pods of these manifests."""
    found = set()
    for manifest in manifests:
        spec = manifest.get("spec", {})
        for metadata in (spec.get("template", {}).get("metadata", {}), spec.get("inheritedMetadata", {})):
            labels = metadata.get("labels", {})
            found |= {labels[label] for label in POD_LABELS if label in labels}
    return found


def documented():
    """Returns the rows of the table. Each of our pods at an end must allow the path: egress at its start, ingress at its end."""
    text = (K8S / "README.md").read_text()
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    listed = set()
    for row in re.findall(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|", section, re.MULTILINE):
        beginning, end, _ = row
        if is_inside(beginning):
            listed.add(" | ".join(row) + " out")
        if is_inside(end):
            listed.add(" | ".join(row) + " in")
    return listed


def is_inside(end):
    return not end.startswith("anywhere") and "namespace" not in end


def paths(policy):
    """Yields every path of a policy as `from | to | ports`, with the side that allows it."""
    spec = policy["spec"]
    own = pods(spec["podSelector"])
    for side, peers, arrow in (("ingress", "from", "in"), ("egress", "to", "out")):
        for rule in spec.get(side, []):
            opened = ", ".join(sorted(ports(rule)))
            for peer in [text for one in rule.get(peers, [{}]) for text in peer_words(one)]:
                for pod in own:
                    ends = (peer, pod) if arrow == "in" else (pod, peer)
                    yield f"{ends[0]} | {ends[1]} | {opened} {arrow}"


def ports(rule):
    if not rule.get("ports"):
        yield "every port"
    for port in rule.get("ports", []):
        yield f"{port['port']}" if port.get("protocol", "TCP") == "TCP" else f"{port['port']}/{port['protocol']}"


def pods(selector):
    """Returns the names of the selected pods."""
    if not selector:
        return ["every pod"]
    found = []
    for label, value in selector.get("matchLabels", {}).items():
        found.append(value if label in POD_LABELS else WORDS.get((label, value), f"{label}={value}"))
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "In" or expression["key"] not in POD_LABELS or found:
            return [f"pods by {selector}"]
        found += expression["values"]
    # A selector with several labels would match fewer pods; ours have one.
    return found if len(selector.get("matchLabels", {})) <= 1 else [" and ".join(found)]


def peer_words(peer):
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        where = "anywhere" if block["cidr"] == EVERYTHING else block["cidr"]
        return [f"{where} public" if block.get("except") else where]
    inside = pods(peer["podSelector"]) if peer.get("podSelector") else []
    if "namespaceSelector" not in peer:
        return inside or ["every pod" if "podSelector" in peer else "anywhere"]
    labels = peer["namespaceSelector"].get("matchLabels", {})
    places = [
        f"namespace {value}" if label == "kubernetes.io/metadata.name" else f"namespaces with {label}={value}"
        for label, value in labels.items()
    ] or ["every namespace"]
    return [f"{pod} in {place}" for pod in inside for place in places] or places
