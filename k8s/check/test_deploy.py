"""Tests the order of a rollout, and where it stops, with a fake kubectl that records its calls."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import render

KUBECTL = """#!/usr/bin/env bash
if [ "$1" = kustomize ]; then exec "$REAL_KUBECTL" "$@"; fi
echo "$*" >>"$CALLS"
case "$*" in *"get job"*) echo "$MIGRATION" ;; esac
"""


class Rollout(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.calls = Path(folder.name) / "calls"
        self.calls.touch()
        self.kubectl = Path(folder.name) / "kubectl"
        self.kubectl.write_text(KUBECTL)
        self.kubectl.chmod(0o755)

    def deploy(self, *arguments, migration="SuccessCriteriaMet Complete"):
        environment = {
            **os.environ,
            "REAL_KUBECTL": os.environ.get("KUBECTL", "kubectl"),
            "KUBECTL": str(self.kubectl),
            "CALLS": str(self.calls),
            "MIGRATION": migration,
        }
        command = [str(render.K8S / "deploy"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def steps(self):
        """Returns the calls that change or wait for something, in order."""
        steps = []
        for call in self.calls.read_text().splitlines():
            self.assertTrue(call.startswith("--namespace tiris-production "), call)
            for mark in ("step=platform", "step=migrate", "step=services", "delete job", "cluster/tiris-db"):
                if mark in call:
                    steps.append(mark)
            if "rollout status" in call:
                steps.append(call.split()[4])
        return steps

    def test_services_change_after_the_migrations(self):
        done = self.deploy("production", "1.2.3")
        self.assertEqual(done.returncode, 0, done.stderr)
        before = ["step=platform", "cluster/tiris-db", "statefulset/tiris-nats", "delete job", "step=migrate"]
        after = ["step=services", "deployment/tiris-api", "deployment/tiris-ingest"]
        self.assertEqual(self.steps(), before + after)

    def test_failed_migrations_stop_the_rollout(self):
        done = self.deploy("production", "1.2.3", migration="FailureTarget Failed")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the migrations failed, nothing else was changed", done.stderr)
        self.assertNotIn("step=services", self.steps())

    def test_invalid_arguments_change_nothing(self):
        for arguments in (["production", "latest"], ["production"], ["test", "1.2.3"], ["production", "1.2.3; true"]):
            done = self.deploy(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertNotEqual(done.stderr, "")
        self.assertEqual(self.calls.read_text(), "")

    def test_nothing_is_left_behind(self):
        self.deploy("production", "1.2.3")
        self.assertEqual([path.name for path in render.K8S.iterdir() if path.name.startswith(".")], [])


if __name__ == "__main__":
    unittest.main()
