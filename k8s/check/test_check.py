"""Breaks the manifests in one place at a time; the check must find each mistake."""

import copy
import unittest

import network
import policy
import render
import schemas
from rules import found

TEXT = render.environment_text("production")


def container(manifests, kind, name):
    return render.find(manifests, kind, name)["spec"]["template"]["spec"]["containers"][0]


class Broken(unittest.TestCase):
    def setUp(self):
        self.manifests = render.parse(TEXT)

    def get(self, kind, name):
        return render.find(self.manifests, kind, name)

    def of_ingest(self):
        """Returns the settings of ingest that are a ConfigMap."""
        sources = container(self.manifests, "Deployment", "tiris-ingest")["envFrom"]
        maps = [source["configMapRef"]["name"] for source in sources if "configMapRef" in source]
        return self.get("ConfigMap", maps[0])["data"]

    def problems(self):
        return list(found(self.manifests, "production"))

    def assert_found(self, words):
        problems = self.problems()
        self.assertTrue(any(words in problem for problem in problems), f"{words!r} is not in {problems}")

    def test_the_repository_has_no_problem(self):
        self.assertEqual(self.problems(), [])

    def test_an_unknown_field_of_kubernetes(self):
        self.get("Deployment", "tiris-api")["spec"]["minReadySecond"] = 10
        self.assert_found("'minReadySecond' was unexpected")

    def test_an_unknown_field_of_an_operator(self):
        self.get("Cluster", "tiris-db")["spec"]["instance"] = 3
        self.assert_found("'instance' was unexpected")

    def test_an_invalid_behavior_of_the_autoscaler(self):
        spec = self.get("ScaledObject", "tiris-ingest")["spec"]
        spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"]["policies"][0]["value"] = "many"
        self.assert_found("Kubernetes 1.37: spec.behavior.scaleUp")

    def test_a_schedule_of_five_fields(self):
        self.get("ScheduledBackup", "tiris-db")["spec"]["schedule"] = "0 2 * * *"
        self.assert_found("spec.schedule")

    def test_an_unknown_kind(self):
        self.manifests.append({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": {}})
        self.assert_found("no schema for example.com/v1 Thing")

    def test_a_pod_that_runs_as_root(self):
        self.get("Deployment", "tiris-ingest")["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = 0
        self.assert_found("must not run as root")

    def test_a_writable_root(self):
        container(self.manifests, "Deployment", "tiris-api")["securityContext"]["readOnlyRootFilesystem"] = False
        self.assert_found("readOnlyRootFilesystem must be true")

    def test_a_container_without_a_limit(self):
        del container(self.manifests, "Job", "tiris-migrate")["resources"]["limits"]["memory"]
        self.assert_found("resources.limits.memory is missing")

    def test_an_image_without_a_fixed_version(self):
        container(self.manifests, "Deployment", "tiris-api")["image"] = "example.com:5000/tiris-api:latest"
        self.assert_found("latest is not a fixed version")

    def test_an_image_without_a_tag(self):
        container(self.manifests, "Deployment", "tiris-api")["image"] = "example.com:5000/tiris-api"
        self.assert_found("has no tag")

    def test_a_missing_probe(self):
        del container(self.manifests, "Deployment", "tiris-ingest")["readinessProbe"]
        self.assert_found("readinessProbe is missing")

    def test_a_liveness_probe_with_dependencies(self):
        probe = container(self.manifests, "Deployment", "tiris-api")["livenessProbe"]
        probe["httpGet"]["path"] = "/health/ready"
        self.assert_found("livenessProbe must not use /health/ready")

    def test_a_variable_used_before_its_definition(self):
        container(self.manifests, "Deployment", "tiris-api")["env"].reverse()
        self.assert_found("DATABASE_URL uses $(DATABASE_PASSWORD), which is not defined before it")

    def test_an_unknown_setting(self):
        for manifest in self.manifests:
            if manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"].startswith("tiris-ingest"):
                manifest["data"]["TIRIS_LANE"] = "16"
        self.assert_found("no program reads TIRIS_LANE")

    def test_a_missing_secret(self):
        self.manifests.remove(self.get("ExternalSecret", "tiris-api-jwt"))
        self.assert_found("nothing creates the secret tiris-api-jwt")

    def test_a_key_mounted_with_its_certificate(self):
        volumes = self.get("Deployment", "tiris-api")["spec"]["template"]["spec"]["volumes"]
        for volume in volumes:
            volume["secret"].pop("items", None)
        self.assert_found("volume db-ca: name the certificate in items")

    def test_a_placeholder_that_is_not_replaced(self):
        self.get("Ingress", "tiris")["spec"]["rules"][0]["host"] = "api.domain"
        self.assert_found("spec.rules.0.host still contains a placeholder")

    def test_a_manifest_that_no_step_applies(self):
        del self.get("Service", "tiris-api")["metadata"]["labels"]["tiris.ai/step"]
        self.assert_found("or k8s/deploy does not apply it")

    def test_a_path_that_is_not_documented(self):
        policy_of_api = self.get("NetworkPolicy", "tiris-api")["spec"]
        policy_of_api["ingress"][0]["ports"].append({"protocol": "TCP", "port": 9464})
        self.assert_found("README.md does not list an open path: namespace traefik | tiris-api | 8080, 9464 in")

    def test_a_path_open_to_everyone(self):
        del self.get("NetworkPolicy", "tiris-ingest")["spec"]["ingress"][0]["from"]
        self.assert_found("anywhere | tiris-ingest | 9465 in")

    def test_a_documented_path_that_is_closed_at_one_end(self):
        del self.get("NetworkPolicy", "database")["spec"]["ingress"][0]
        self.assert_found("README.md lists a path that no policy opens: tiris-migrate | database | 5432 in")

    def test_pods_without_the_label_of_their_policy(self):
        del self.get("Cluster", "tiris-db")["spec"]["inheritedMetadata"]
        self.assert_found("a policy selects pods that do not exist: database")

    def test_a_missing_default_deny(self):
        self.manifests.remove(self.get("NetworkPolicy", "nothing-else"))
        self.assert_found("no policy denies all other traffic")

    def test_too_many_connections(self):
        self.get("HorizontalPodAutoscaler", "tiris-api")["spec"]["maxReplicas"] = 9
        self.assert_found("max_connections is 400, but all processes together may use 4")

    def test_too_little_time_to_stop(self):
        self.get("Deployment", "tiris-api")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 25
        self.assert_found("tiris-api: terminationGracePeriodSeconds is 25")

    def test_a_missing_pre_stop(self):
        del container(self.manifests, "Deployment", "tiris-api")["lifecycle"]
        self.assert_found("without preStop")

    def test_more_workers_than_lanes(self):
        self.get("ScaledObject", "tiris-ingest")["spec"]["maxReplicaCount"] = 17
        self.assert_found("17 processes share 16 lanes")

    def test_streams_larger_than_the_store(self):
        self.of_ingest()["TIRIS_STREAM_BYTES"] = str(100 * 1024**3)
        self.assert_found("too many for a store")

    def test_streams_without_a_limit(self):
        self.of_ingest()["TIRIS_STREAM_BYTES"] = "0"
        self.assert_found("without TIRIS_STREAM_BYTES")

    def test_a_single_process(self):
        self.get("HorizontalPodAutoscaler", "tiris-api")["spec"]["minReplicas"] = 1
        self.assert_found("a single process is unavailable while it is replaced")


class Whole(unittest.TestCase):
    def test_every_rule_checks_every_environment(self):
        for environment in render.ENVIRONMENTS:
            manifests = render.parse(render.plain_text(environment))
            self.assertIsNone(render.find(manifests, "ScaledObject", "tiris-ingest"), environment)
            self.assertIsNotNone(render.find(manifests, "HorizontalPodAutoscaler", "tiris-ingest"), environment)

    def test_environments_share_no_names(self):
        staging = render.environment_text("staging")
        self.assertNotIn("tiris-production", staging)
        self.assertNotIn("tiris-staging", TEXT)
        hosts = [rule["host"] for rule in render.find(render.parse(TEXT), "Ingress", "tiris")["spec"]["rules"]]
        self.assertEqual(hosts, ["api.tiris.ai", "docs.tiris.ai", "admin.tiris.ai"])

    def test_a_rollout_sets_images_and_adds_prometheus_rules(self):
        rendered = render.rollout_text("production", "9.8.7-rc.1")
        self.assertEqual(rendered.count(":9.8.7-rc.1"), 3)
        rendered = rendered.replace(":9.8.7-rc.1", ":0.1.0")
        self.assertEqual(rendered[: len(TEXT)], TEXT)
        added = rendered[len(TEXT) :]
        files = list((render.K8S.parent / "docker/prometheus/rules").glob("*.yaml"))
        self.assertEqual([manifest["kind"] for manifest in render.parse(added)], ["PrometheusRule"] * len(files))

    def test_several_labels_select_no_further_pods(self):
        selector = {"matchLabels": {"app.kubernetes.io/name": "a", "other": "b"}}
        self.assertEqual(network.pods(selector), ["a and other=b"])

    def test_schemas_of_both_kubernetes_versions_apply(self):
        job = copy.deepcopy(render.find(render.parse(TEXT), "Job", "tiris-migrate"))
        del job["spec"]["template"]
        found = list(schemas.check([job]))
        self.assertEqual(len(found), len(schemas.VERSIONS), found)

    def test_placeholders_differ_from_words(self):
        for text in ("api.domain", "s3://namespace/database", "namespace-tiris@kubernetescrd", "first:REPLACE"):
            self.assertTrue(policy.PLACEHOLDERS.search(text), text)
        for text in ("tiris-staging", "api.dev.tiris.ai", "app.kubernetes.io/name", 'x{namespace="tiris-staging"}'):
            self.assertFalse(policy.PLACEHOLDERS.search(text), text)


if __name__ == "__main__":
    unittest.main()
