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

    def issue(self, name, *more, expired=False):
        """(certificate file, key file) for hosts' names or IP addresses. The file has the authority's
        certificate too."""
        names = ",".join(f"{'IP' if n.replace('.', '').isdigit() else 'DNS'}:{n}"
                         for n in (name, *more))
        self._run("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                  f"/CN={name}")
        with open(os.path.join(self.directory, f"{name}.ext"), "w") as file:
            file.write(f"subjectAltName={names}\n")
        days = "-1" if expired else "2"
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                  "-CAcreateserial", "-days", days, "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        with open(self.file) as authority, \
                open(os.path.join(self.directory, f"{name}.pem"), "a") as file:
            file.write(authority.read())
        return tuple(os.path.join(self.directory, f"{name}.{end}") for end in ("pem", "key"))

    def tlsa(self, certificate):
        """The digest for a TLSA record with selector 0 and matching type 1 for the first certificate of
        the file."""
        with open(certificate) as file:
            first = file.read().partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER + "\n"
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()

    def remove(self):
        remove_directory(self.directory)
