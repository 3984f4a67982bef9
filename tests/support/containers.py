"""Building and running container images without a Docker daemon: podman with runc, and a base image
made from Debian's packages by debootstrap, kept between runs. Needs root."""

import glob
import os
import re
import subprocess

from tests.support.processes import find_program, note, remove_directory, temporary_directory

BASE = "docker.io/library/debian:bookworm-slim"

_CONF = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""


def debian_mirror():
    """The mirror this machine's apt uses, so that images are made from where it gets packages."""
    for path in (glob.glob("/etc/apt/sources.list.d/*.sources") + ["/etc/apt/sources.list"] +
                 glob.glob("/etc/apt/sources.list.d/*.list")):
        try:
            with open(path) as file:
                text = file.read()
        except OSError:
            continue
        found = re.search(r"(?m)^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(https?://\S+/debian/?)(?=\s|$)",
                          text)
        if found:
            return found.group(1)
    raise RuntimeError("apt has no Debian mirror configured")


class Podman:
    def __init__(self):
        self.directory = temporary_directory("podman")
        path = os.path.join(self.directory, "containers.conf")
        with open(path, "w") as file:
            file.write(_CONF)
        self.env = dict(os.environ, CONTAINERS_CONF=path)

    def run(self, *args, check=True, timeout=1800):
        result = subprocess.run([find_program("podman"), *args], env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        if check and result.returncode != 0:
            raise RuntimeError(f"podman {' '.join(args)}: status {result.returncode}\n"
                               f"{result.stdout[-6000:]}")
        return result

    def make_base(self):
        """The image that FROM debian:bookworm-slim names, if it is not there yet."""
        if self.run("image", "exists", BASE, check=False).returncode == 0:
            return
        note("making the base image")
        root = os.path.join(self.directory, "base")
        subprocess.run([find_program("debootstrap"), "--variant=minbase", "bookworm", root,
                        debian_mirror()], check=True, stdout=subprocess.DEVNULL, timeout=900)
        archive = os.path.join(self.directory, "base.tar")
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        self.run("import", "--change", "CMD [\"bash\"]", "--change",
                 "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                 archive, BASE)
        remove_directory(root)
        os.unlink(archive)

    def close(self):
        remove_directory(self.directory)
