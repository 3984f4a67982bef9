"""A private authoritative DNS server (nsd) that serves whatever a test gives it as a root zone:
names that are not listed do not exist."""

import glob
import os
import re
import subprocess

from tests.support.processes import (Process, find_program, free_port, remove_directory,
                                     temporary_directory, unprivileged_user, wait_until)

_HEADER = """$ORIGIN .
$TTL 60
. IN SOA ns.test. hostmaster.test. 1 3600 600 86400 5
. IN NS ns.test.
ns.test. IN A 127.0.0.1
"""


class DnsServer:
    def __init__(self, records, address="127.0.0.1", signed=False, spoiled=()):
        """`records`: zone file lines with absolute names, such as
        "example.net. IN MX 10 mx.example.net.". `signed`: with DNSSEC; trust_anchor is the file to
        validate from. `spoiled`: names whose TLSA record is changed after it was signed."""
        self.signed = signed
        self.spoiled = tuple(spoiled)
        self.address = address
        self.port = free_port(address)
        self.directory = temporary_directory("dns")
        self.records = list(records)
        self.process = None

    def _write(self):
        with open(os.path.join(self.directory, "root.zone"), "w") as zone:
            zone.write(_HEADER + "\n".join(self.records) + "\n")
        if self.signed:
            self._sign()
        with open(os.path.join(self.directory, "nsd.conf"), "w") as conf:
            conf.write(f"""server:
  ip-address: {self.address}@{self.port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "{self.directory}"
  pidfile: "{self.directory}/nsd.pid"
  database: ""
  xfrdfile: "{self.directory}/xfrd.state"
  zonelistfile: "{self.directory}/zone.list"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
""")

    @property
    def trust_anchor(self):
        """Is there once the server has been started."""
        return glob.glob(os.path.join(self.directory, "K*.key"))[0]

    def _sign(self):
        if not glob.glob(os.path.join(self.directory, "K*.key")):
            subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "."], check=True,
                           cwd=self.directory, stdout=subprocess.DEVNULL)
        key = self.trust_anchor[:-len(".key")]
        subprocess.run(["ldns-signzone", "-f", "signed", "root.zone", key], check=True,
                       cwd=self.directory, stdout=subprocess.DEVNULL)
        # What was changed after it was signed.
        with open(os.path.join(self.directory, "signed")) as file:
            zone = file.read()
        for owner in self.spoiled:
            spoiled = re.sub(rf"(?m)^({re.escape(owner)}\s\S+\sIN\sTLSA\s.*)(.)$",
                             lambda m: m[1] + ("1" if m[2] == "0" else "0"), zone)
            if spoiled == zone:
                raise ValueError(f"the zone has no TLSA record of {owner}")
            zone = spoiled
        with open(os.path.join(self.directory, "root.zone"), "w") as file:
            file.write(zone)

    def start(self):
        self._write()
        user = unprivileged_user("nobody")
        if user is not None:
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        self.process = Process("nsd", [find_program("nsd"), "-d", "-c",
                                       os.path.join(self.directory, "nsd.conf")],
                               self.directory, user=user).start()
        self.process.wait_for_port(self.port, address=self.address)
        return self

    def replace(self, records):
        """Serves other records from now on."""
        self.process.stop()
        self.records = list(records)
        self.start()

    def stop(self):
        if self.process:
            self.process.stop()
        remove_directory(self.directory)
