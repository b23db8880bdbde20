"""All rules for the manifests of an environment."""

import capacity
import network
import policy
import schemas


def found(manifests, environment):
    """Yields all findings in the manifests of an environment."""
    yield from schemas.check(manifests)
    yield from policy.check(manifests)
    yield from network.check(manifests, f"tiris-{environment}")
    yield from capacity.check(manifests)
