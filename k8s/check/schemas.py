"""Validates manifests with the schemas of Kubernetes, and with our own for the resources of operators."""

from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

from render import name_of

# The oldest and newest supported version of Kubernetes.
VERSIONS = ("1.34", "1.37")
OPERATORS = {}
for file in sorted((Path(__file__).parent / "schemas").glob("*.yaml")):
    OPERATORS.update(yaml.safe_load(file.read_text()))


def check(manifests):
    """Yields every violation of a schema."""
    for manifest in manifests:
        schema = OPERATORS.get(f"{manifest['apiVersion']} {manifest['kind']}")
        found = of_kubernetes(manifest) if schema is None else of_an_operator(manifest, schema)
        for problem in found:
            yield f"{name_of(manifest)}: {problem}"


def of_kubernetes(manifest):
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            yield f"no schema for {manifest['apiVersion']} {manifest['kind']} in Kubernetes {version}"
        except kubernetes_validate.ValidationError as error:
            place = ".".join(map(str, error.absolute_path))
            yield f"Kubernetes {version}: {place}: {error.message}"


def of_an_operator(manifest, schema):
    unknown = set(manifest) - {"apiVersion", "kind", "metadata", "spec"}
    if unknown:
        yield f"unknown: {', '.join(sorted(unknown))}"
    validator = jsonschema.Draft202012Validator(schema)
    for error in sorted(validator.iter_errors(manifest.get("spec")), key=lambda error: list(error.absolute_path)):
        yield f"spec.{'.'.join(map(str, error.absolute_path))}: {error.message}"
    if manifest["kind"] == "ScaledObject":
        yield from of_kubernetes(autoscaler_of(manifest["spec"]))


def autoscaler_of(spec):
    """Returns the HorizontalPodAutoscaler that KEDA creates for a ScaledObject."""
    config = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "of-keda"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", **spec.get("scaleTargetRef", {})},
            "maxReplicas": spec.get("maxReplicaCount"),
            "behavior": config.get("behavior", {}),
        },
    }
