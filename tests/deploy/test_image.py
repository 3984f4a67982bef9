"""The image is built from the Dockerfile and its programs run in it, as the unprivileged user."""

import os
import subprocess
import unittest

from tests.support.containers import Podman
from tests.support.processes import note

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE = "localhost/posthorn:test"


class ImageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.podman = Podman()
        cls.podman.make_base()
        # What git has, and nothing else that lies around: as somebody who clones would build it.
        cls.context = os.path.join(cls.podman.directory, "context")
        os.makedirs(cls.context)
        files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True,
                               stdout=subprocess.PIPE).stdout
        archive = subprocess.run(["tar", "-C", ROOT, "--null", "-T", "-", "-cf", "-"],
                                 input=files, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-C", cls.context, "-xf", "-"], input=archive, check=True)
        note("building the image")
        cls.podman.run("build", "--pull=never", "--format", "docker", "--build-arg",
                       "CXX_FLAGS=-O0 -DNDEBUG", "-t", IMAGE, cls.context)

    @classmethod
    def tearDownClass(cls):
        cls.podman.close()

    def run_in_image(self, *args, entrypoint=None):
        options = ["--entrypoint", entrypoint] if entrypoint else []
        return self.podman.run("run", "--rm", "--network=none", *options, IMAGE, *args,
                               check=False, timeout=120)

    def test_posthorn_runs_as_an_unprivileged_user(self):
        result = self.run_in_image("--version")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("posthorn", result.stdout)
        result = self.run_in_image("-u", entrypoint="/usr/bin/id")
        self.assertEqual(result.stdout.strip(), "10001")

    def test_posthorn_sendmail_runs(self):
        result = self.run_in_image("-bp", entrypoint="/usr/local/bin/posthorn-sendmail")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("Mail queue is empty", result.stdout)

    def test_posthornctl_runs(self):
        result = self.run_in_image("--help", entrypoint="/usr/local/bin/posthornctl")
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_the_image_has_no_compiler(self):
        result = self.run_in_image("-c", "command -v g++ cmake", entrypoint="/bin/sh")
        self.assertNotEqual(result.returncode, 0)


if __name__ == "__main__":
    unittest.main()
