"""Checks the manifests of every environment; `make manifests-k8s` runs it with the required tools."""

import sys

import capacity
import policy
import render
import schemas
from rules import found


def main():
    problems, count = [], 0
    for environment in render.ENVIRONMENTS:
        text = render.environment_text(environment)
        if text != render.environment_text(environment):
            problems.append(f"{environment}: rendered twice, it is not the same")
        rollout = render.rollout_text(environment, "0.1.0")
        for variant, rendered in (("", rollout), (" without KEDA", render.plain_text(environment))):
            manifests = render.parse(rendered)
            count += len(manifests)
            problems += [f"{environment}{variant}: {problem}" for problem in found(manifests, environment)]
            primary, standby = capacity.needed(manifests)
            print(f"{environment}{variant}: {len(manifests)} manifests, at most {primary} connections, {standby} on a standby")
    for file in render.EXAMPLES:
        examples = render.parse(file.read_text())
        count += len(examples)
        problems += [f"{file.name}: {problem}" for problem in schemas.check(examples)]
        problems += [f"{file.name}: {problem}" for problem in policy.of_pods(examples)]
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print(f"{count} manifests checked, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
