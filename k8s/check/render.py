"""Renders the manifests of the environments and their variants."""

import os
import subprocess
import tempfile
from pathlib import Path

import yaml

K8S = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("staging", "production")
# Files that are applied by hand.
EXAMPLES = sorted((K8S / "examples").glob("*.yaml"))


def kubectl(*arguments):
    """Runs kubectl and returns its output."""
    return run(os.environ.get("KUBECTL", "kubectl"), *arguments)


def run(*command):
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def environment_text(name):
    """Returns the manifests of an environment as they are applied."""
    return kubectl("kustomize", K8S / "overlays" / name)


def plain_text(name):
    """Returns the manifests for a cluster without KEDA."""
    with tempfile.TemporaryDirectory(dir=K8S, prefix=".plain-") as folder:
        kustomization = {
            "resources": [f"../overlays/{name}"],
            "components": ["../components/plain-autoscaling"],
            "namespace": f"tiris-{name}",
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return kubectl("kustomize", folder)


def rollout_text(name, version):
    """Returns the manifests that a rollout of this version applies."""
    return run(K8S / "deploy", "--render", name, version)


def parse(text):
    """Parses manifests."""
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def name_of(manifest):
    """Returns the readable name of a manifest."""
    return f"{manifest.get('kind')}/{manifest.get('metadata', {}).get('name')}"


def find(manifests, kind, name):
    """Returns the manifest of this kind and name, or None."""
    for manifest in manifests:
        if manifest["kind"] == kind and manifest["metadata"]["name"] == name:
            return manifest
    return None
