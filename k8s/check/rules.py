"""All rules for the manifests of one environment.

Owns: which there are. Must not know: what they look for.
"""

import capacity
import network
import policy
import schemas


def found(manifests, environment):
    """All findings in the manifests of an environment."""
    yield from schemas.check(manifests)
    yield from policy.check(manifests)
    yield from network.check(manifests, f"tiris-{environment}")
    yield from capacity.check(manifests)
