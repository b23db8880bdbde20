"""Checks references of dashboards, alerts and compose.yaml that their own tools cannot check.

    check.py                    checks everything; writes the queries of the dashboards for promtool to the file $QUERIES
    check.py live FILE...       checks that files with /metrics output contain our metrics used by the dashboards

Prints each fault; exits with 1 when there is one."""

import json
import os
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # Leaves the folder unchanged.
import promql

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Values for the variables of the dashboards that promtool accepts.
GRAFANA = {"$__rate_interval": "5m", "$instance": ".*", "${datasource}": "prometheus"}
SUFFIXES = re.compile(r"_(bucket|count|sum)$")
faults = []
# Variables that libraries read; `tiris-api serve --help` lists those of OpenTelemetry.
OF_LIBRARIES = {
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
}


def fault(where, what):
    """Records a fault."""
    faults.append(f"{where}: {what}")


def yaml(path):
    """Reads a YAML file."""
    from ruamel.yaml import YAML  # Not installed where a test runs `live`.

    return YAML(typ="safe").load(path)


def ours():
    """Returns our metrics with kind and labels, from the table of shared/docs/OBSERVABILITY.md, which a test compares with the code."""
    row = re.compile(r"^\| `([a-z_]+)(?:\{([a-z_,]+)\})?` \| (counter|gauge|histogram) \|", re.MULTILINE)
    table = row.findall((ROOT / "shared/docs/OBSERVABILITY.md").read_text())
    return {name: (kind, set(filter(None, labels.split(",")))) for name, labels, kind in table}


def foreign():
    """Returns the metrics of other programs with their labels."""
    lines = (HERE / "prometheus/foreign-metrics.txt").read_text().splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: set(labels.split(",")) - {"-"} for name, labels in pairs}


def rules():
    """Yields each rule with the name of its file."""
    for path in sorted(HERE.glob("prometheus/rules/*.yaml")):
        for group in yaml(path)["groups"]:
            for rule in group["rules"]:
                yield path.name, rule


def panels(board):
    """Yields all panels of a dashboard."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def queries():
    """Yields each PromQL query of alerts and dashboards with its place."""
    for name, rule in rules():
        yield f"{name}: {rule.get('alert') or rule['record']}", rule["expr"]
    yield from shown()


def shown():
    """Yields each PromQL query of the dashboards with its place."""
    for path in sorted(HERE.glob("grafana/dashboards/*.json")):
        for panel in panels(json.loads(path.read_text())):
            for target in panel.get("targets", []):
                if target["datasource"]["type"] == "prometheus":
                    query = target["expr"]
                    for variable, value in GRAFANA.items():
                        query = query.replace(variable, value)
                    yield f"{path.name}: {panel['title']}", query


def check_queries():
    """Checks that every metric and label of every query exists."""
    known = {name: labels for name, (_, labels) in ours().items()} | foreign()
    if not ours():
        fault("shared/docs/OBSERVABILITY.md", "holds no table of metrics")
    recorded = {rule["record"] for _, rule in rules() if "record" in rule}
    used = set()
    for where, query in queries():
        labels = set()
        for name in promql.names(query) - recorded:
            base = name if name in known else SUFFIXES.sub("", name)
            if base not in known:
                fault(where, f"metric {name} does not exist")
                continue
            used.add(base)
            labels |= known[base]
        if promql.names(query) - recorded and promql.labels(query) - labels:
            fault(where, f"no metric of it has the labels {sorted(promql.labels(query) - labels)}")
    for name in sorted(set(foreign()) - used):
        fault("foreign-metrics.txt", f"{name} is not used")


def check_alerts():
    """Checks that every alert has a severity and texts, and fires in a test."""
    fired = "\n".join(path.read_text() for path in HERE.glob("prometheus/tests/*.yaml"))
    for name, rule in rules():
        if "alert" not in rule:
            continue
        where = f"{name}: {rule['alert']}"
        if rule["labels"].get("severity") not in ("page", "ticket"):
            fault(where, "its severity must be page or ticket")
        for text in ("summary", "description", "runbook"):
            if not rule["annotations"].get(text):
                fault(where, f"has no {text}")
        severity = rule["labels"].get("severity")
        if not re.search(rf'alertname="{rule["alert"]}"(?=[^\n]*severity="{severity}"|(?![^\n]*severity))', fired):
            fault(where, f"no test lets it fire as {severity}")


def check_dashboards():
    """Checks that ids are unique and data sources are provisioned."""
    sources = {source["uid"] for source in yaml(HERE / "grafana/provisioning/datasources/datasources.yaml")["datasources"]}
    sources.add("${datasource}")
    seen = set()
    for path in sorted(HERE.glob("grafana/dashboards/*.json")):
        board = json.loads(path.read_text())
        if board["uid"] in seen:
            fault(path.name, f"uid {board['uid']} is taken")
        seen.add(board["uid"])
        ids = [panel["id"] for panel in panels(board)]
        if len(ids) != len(set(ids)):
            fault(path.name, "two panels have one id")
        for panel in panels(board):
            for part in [panel, *panel.get("targets", [])]:
                uid = part.get("datasource", {}).get("uid", "${datasource}")
                if uid not in sources:
                    fault(f"{path.name}: {panel['title']}", f"data source {uid} does not exist")


def check_compose():
    """Checks that references exist, secrets are generated, and services have minimal rights and ports."""
    path = HERE / "compose.yaml"
    compose, text = yaml(path), path.read_text()
    created = set(re.findall(r"^([A-Z_]+)=", (HERE / "make-secrets").read_text(), re.MULTILINE))
    for name, form in re.findall(r"\$\{([A-Z_]+)(:?[-?])?", text):
        if form in ("", ":?", "?") and name not in created:
            fault("compose.yaml", f"docker/make-secrets does not create {name}")
    sources = "\n".join(file.read_text() for part in ("api", "ingest", "migrations", "shared")
                        for file in (ROOT / part).rglob("src/**/*.rs"))
    settings = set(re.findall(r'env = "([A-Z_]+)"', sources)) | OF_LIBRARIES
    services = compose["services"]
    for name, service in services.items():
        where = f"compose.yaml: {name}"
        for other in service.get("depends_on", {}):
            if other not in services:
                fault(where, f"service {other} does not exist")
        for network in service.get("networks", {}):
            if network not in compose["networks"]:
                fault(where, f"network {network} does not exist")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and not source.startswith("./secrets/") and not (HERE / source).exists():
                fault(where, f"{source} does not exist")
            if not source.startswith(("/", ".")) and source not in compose["volumes"]:
                fault(where, f"volume {source} does not exist")
        for port in service.get("ports", []):
            if not port.startswith(("127.0.0.1:", "${TIRIS_BIND:-127.0.0.1}:")):
                fault(where, f"{port} is open to other machines")
        if not re.search(r":v?\d+\.\d+\.\d+[\w.-]*$|:local$|:\$\{TIRIS_VERSION:-local\}$", service["image"]):
            fault(where, f"{service['image']} has no fixed version")
        if service["image"].startswith("tiris-"):
            for setting in set(service["environment"]) - settings:
                fault(where, f"no program has the setting {setting}")
        if "//admin:" in service.get("environment", {}).get("NATS_URL", ""):
            fault(where, "it has the broker's login of operators")
        if service.get("profiles") == ["dev"]:
            continue
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            fault(where, "its root is writable, or it has capabilities")
        if "no-new-privileges:true" not in service.get("security_opt", []):
            fault(where, "it may gain privileges")


def write_queries(path):
    """Writes the queries of the dashboards as rules for promtool."""
    found = [{"record": f"query:{number}", "expr": query} for number, (_, query) in enumerate(queries())]
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": found}]}))


def check_live(files):
    """Checks that running programs serve the metrics used. A counter exists only after its first increment."""
    served = set(re.findall(r"^# TYPE ([a-z_]+) ", "\n".join(Path(file).read_text() for file in files), re.MULTILINE))
    catalog = ours()
    for where, query in shown():
        for name in promql.names(query):
            base = name if name in catalog else SUFFIXES.sub("", name)
            if base in catalog and catalog[base][0] != "counter" and base not in served:
                fault(where, f"no program serves {base}")


if sys.argv[1:2] == ["live"]:
    check_live(sys.argv[2:])
else:
    check_queries()
    check_alerts()
    check_dashboards()
    check_compose()
    if "QUERIES" in os.environ:
        write_queries(Path(os.environ["QUERIES"]))
print("\n".join(faults) or "no problems")
sys.exit(bool(faults))
