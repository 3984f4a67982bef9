"""A certificate authority of the tests' own."""

import hashlib
import os
import ssl
import subprocess

from tests.support.processes import remove_directory, temporary_directory

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    def __init__(self):
        self.directory = temporary_directory("ca")
        self.file = os.path.join(self.directory, "ca.pem")
        self._run("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                  "-subj", "/CN=Test authority")

    def _run(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=self.directory,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def issue(self, name):
        """(certificate file, key file) for a host's name or an IP address."""
        kind = "IP" if name.replace(".", "").isdigit() else "DNS"
        self._run("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                  f"/CN={name}")
        with open(os.path.join(self.directory, f"{name}.ext"), "w") as file:
            file.write(f"subjectAltName={kind}:{name}\n")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                  "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return tuple(os.path.join(self.directory, f"{name}.{end}") for end in ("pem", "key"))

    def tlsa(self, certificate):
        """The data of a TLSA record "3 0 1" for it."""
        with open(certificate) as file:
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()

    def remove(self):
        remove_directory(self.directory)
