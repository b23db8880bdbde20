"""Starts the programs of a folder with the settings of every environment, except secrets, and checks that they accept them."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import policy
import render

SERVICES = {"tiris-api": "serve", "tiris-ingest": "run"}
# Substitutes for values that only a cluster has.
SECRETS = {
    "TIRIS_ENCRYPTION_KEYS": f"first:{base64.b64encode(bytes(range(32))).decode()}",
    "TIRIS_FINGERPRINT_KEY": base64.b64encode(bytes(range(1, 33))).decode(),
    "TIRIS_GOOGLE_CLIENT_ID": "id",
    "TIRIS_GOOGLE_CLIENT_SECRET": "secret",
    "TIRIS_WECHAT_APP_ID": "id",
    "TIRIS_WECHAT_APP_SECRET": "secret",
}
LISTENERS = ("TIRIS_API_LISTEN", "TIRIS_ADMIN_LISTEN")


def main(folder):
    problems = []
    with tempfile.TemporaryDirectory() as work:
        key = Path(work) / "jwt.pem"
        subprocess.run([folder / "tiris-api", "keys", "new", key], check=True, stdout=subprocess.DEVNULL)
        for environment in render.ENVIRONMENTS:
            manifests = render.parse(render.environment_text(environment))
            for service, command in SERVICES.items():
                given = variables(manifests, service) | {"TIRIS_JWT_KEY_FILE": str(key)}
                said = first_words([folder / service, command], given)
                if said is not None:
                    problems.append(f"{environment}: {service} does not start: {said}")
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"{len(render.ENVIRONMENTS) * len(SERVICES)} starts, {len(problems)} problems")
    return 1 if problems else 0


def variables(manifests, service):
    """Returns the environment of a container of the service."""
    container = render.find(manifests, "Deployment", service)["spec"]["template"]["spec"]["containers"][0]
    found = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            found |= render.find(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
        else:
            found |= SECRETS
    for one in container["env"]:
        found[one["name"]] = policy.VARIABLE.sub(lambda used: found[used[1]], one.get("value", "p4ssword"))
    # Any free port.
    return found | {name: "127.0.0.1:0" for name in LISTENERS if name in found}


def first_words(command, given):
    """Returns None when the program accepts its settings, else its error; it logs nothing before it has checked them all."""
    process = subprocess.Popen(
        command, env={"PATH": os.environ["PATH"], **given}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    line = process.stderr.readline()
    try:
        json.loads(line)
        said = None
    except ValueError:
        said = (line + process.stderr.read()).strip()
    process.terminate()
    process.communicate()
    return said


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
