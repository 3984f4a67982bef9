"""k8s/base and docker-compose.yml are rendered and checked strictly, without a cluster or daemon."""

import json
import os
import re
import shutil
import subprocess
import unittest

import yaml

from tests.support.platform import POSTHORN
from tests.support.processes import find_program, remove_directory, temporary_directory

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_TYPES = {"ConfigMap": "v1", "Service": "v1", "Deployment": "apps/v1", "Job": "batch/v1"}


class KubernetesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = temporary_directory("k8s")
        cls.rendered = subprocess.run([find_program("kubectl"), "kustomize",
                                       os.path.join(ROOT, "k8s/base")], check=True, text=True,
                                      stdout=subprocess.PIPE, timeout=60).stdout
        # npm reads the lock file beside the tests: the same versions everywhere.
        for name in ("package.json", "package-lock.json", "validate.mjs"):
            shutil.copy(os.path.join(ROOT, "tests/deploy", name), cls.directory)
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=cls.directory,
                       check=True, timeout=240)
        result = subprocess.run(["node", "validate.mjs"], cwd=cls.directory, input=cls.rendered,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                timeout=120)
        cls.validation = result
        cls.documents = json.loads(result.stdout) if result.returncode == 0 else []

    @classmethod
    def tearDownClass(cls):
        remove_directory(cls.directory)

    def of(self, kind):
        return {d["metadata"]["name"]: d for d in self.documents if d["kind"] == kind}

    def test_every_field_is_one_that_kubernetes_knows(self):
        self.assertEqual(self.validation.returncode, 0, self.validation.stderr)
        self.assertEqual(len(self.documents), 10)

    def test_services_find_their_pods_and_ports(self):
        deployments = self.of("Deployment")
        for name, service in self.of("Service").items():
            selector = service["spec"]["selector"]
            pods = [d for d in deployments.values() if selector.items() <=
                    d["spec"]["template"]["metadata"]["labels"].items()]
            self.assertEqual(len(pods), 1, name)
            ports = {p["name"] for p in
                     pods[0]["spec"]["template"]["spec"]["containers"][0]["ports"]}
            for port in service["spec"]["ports"]:
                self.assertIn(port["targetPort"], ports, name)

    def test_pods_run_without_privileges_and_with_probes(self):
        for name, deployment in self.of("Deployment").items():
            pod = deployment["spec"]["template"]["spec"]
            self.assertTrue(pod["securityContext"]["runAsNonRoot"], name)
            container = pod["containers"][0]
            self.assertEqual(container["securityContext"]["capabilities"]["drop"], ["ALL"], name)
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertIn(probe, container, name)

    def test_the_configuration_in_the_config_map_is_valid(self):
        config = next(iter(self.of("ConfigMap").values()))["data"]["posthorn.yaml"]
        path = os.path.join(self.directory, "posthorn.yaml")
        with open(path, "w") as file:
            file.write(config)
        result = subprocess.run([POSTHORN, "config", "check", "--config", path],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout)


class ComposeTest(unittest.TestCase):
    def test_the_compose_file_is_valid_and_complete(self):
        rendered = subprocess.run(
            [find_program("docker-compose"), "-f", os.path.join(ROOT, "docker-compose.yml"),
             "config"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(rendered.returncode, 0, rendered.stderr)
        for service in ("postgres", "redis", "prepare", "gateway", "mailbox", "queue", "delivery"):
            self.assertIn(f"\n  {service}:", rendered.stdout)


    def test_the_profile_webmail_adds_roundcube(self):
        rendered = subprocess.run(
            [find_program("docker-compose"), "-f", os.path.join(ROOT, "docker-compose.yml"),
             "--profile", "webmail", "config"], check=True, stdout=subprocess.PIPE, text=True,
            timeout=60)
        services = yaml.safe_load(rendered.stdout)["services"]
        webmail = services["webmail"]
        self.assertEqual(webmail["profiles"], ["webmail"])
        # It reads and sends where the gateway listens.
        with open(os.path.join(ROOT, "config/compose.yaml")) as file:
            gateway = yaml.safe_load(file)["gateway"]
        listeners = {f"ssl://gateway:{listener['port']}": listener["role"]
                     for section in ("smtp_listeners", "imap_listeners")
                     for listener in gateway[section]}
        self.assertEqual(listeners[webmail["environment"]["WEBMAIL_IMAP"]], "imaps")
        self.assertEqual(listeners[webmail["environment"]["WEBMAIL_SMTP"]], "submissions")
        dockerfile = os.path.join(ROOT, webmail["build"]["dockerfile"])
        with open(dockerfile) as file:
            copied = re.search(r"(?m)^COPY (.*) \S+$", file.read())[1].split()
        for path in copied:
            self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)

    def test_its_configuration_is_valid(self):
        result = subprocess.run([POSTHORN, "config", "check", "--config",
                                 os.path.join(ROOT, "config/compose.yaml")],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
