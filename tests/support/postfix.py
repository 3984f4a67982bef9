"""A private Postfix on a loopback address, as the remote mail server of the tests: its own
configuration, queue and data directories. Postfix's master needs root."""

import os
import pwd
import subprocess

from tests.support.processes import (find_program, free_port, port_open, remove_directory,
                                     temporary_directory, wait_until)

_MASTER = """{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Accepts mail for `domain` at `address`:`port` into Maildirs, one for each of `users`."""

    def __init__(self, domain, users, address="127.0.0.1", settings=None, port=None):
        self.domain = domain
        self.users = list(users)
        self.address = address
        self.port = port or free_port(address)
        self.directory = temporary_directory("postfix")
        self.settings = dict(settings or {})

    def start(self):
        if os.getuid() != 0:
            raise RuntimeError("Postfix's master process needs root: run the tests as root")
        config = os.path.join(self.directory, "etc")
        self.maildirs = os.path.join(self.directory, "mail")
        for path in ("etc", "spool", "data", "mail"):
            os.makedirs(os.path.join(self.directory, path))
        owner = pwd.getpwnam("postfix")
        os.chown(os.path.join(self.directory, "data"), owner.pw_uid, owner.pw_gid)
        os.chown(self.maildirs, owner.pw_uid, owner.pw_gid)
        with open(os.path.join(config, "users"), "w") as file:
            for user in self.users:
                file.write(f"{user}@{self.domain} {user}/\n")
        main = {
            "compatibility_level": "3.6",
            "queue_directory": f"{self.directory}/spool",
            "data_directory": f"{self.directory}/data",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "myhostname": f"mx.{self.domain}",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            # Only what an interface has; master.cf names the address to listen on.
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "virtual_mailbox_domains": self.domain,
            "virtual_mailbox_maps": f"texthash:{config}/users",
            "virtual_mailbox_base": self.maildirs,
            "virtual_minimum_uid": "1",
            "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{owner.pw_gid}",
            "alias_maps": "",
            "alias_database": "",
            "maillog_file": f"{self.directory}/maillog",
            "maillog_file_prefixes": self.directory,
            "message_size_limit": "60000000",
            "mailbox_size_limit": "0",
            "virtual_mailbox_limit": "0",
            "smtpd_tls_security_level": "none",
            **self.settings,
        }
        with open(os.path.join(config, "main.cf"), "w") as file:
            for key, value in main.items():
                file.write(f"{key} = {value}\n")
        with open(os.path.join(config, "master.cf"), "w") as file:
            file.write(_MASTER.format(port=f"{self.address}:{self.port}"))
        self._control("start")
        wait_until(lambda: port_open(self.port, self.address), 30,
                   lambda: f"Postfix listening on {self.address}:{self.port}\n{self.log()}")
        return self

    def _control(self, verb):
        subprocess.run([find_program("postfix"), "-c", os.path.join(self.directory, "etc"), verb],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def messages(self, user):
        """What `user` received, as bytes, by arrival."""
        found = []
        for folder in ("new", "cur"):
            path = os.path.join(self.maildirs, user, folder)
            if os.path.isdir(path):
                found += [os.path.join(path, name) for name in os.listdir(path)]
        result = []
        for path in sorted(found, key=os.path.getmtime):
            with open(path, "rb") as file:
                result.append(file.read())
        return result

    def log(self):
        try:
            with open(os.path.join(self.directory, "maillog")) as file:
                return file.read()
        except OSError:
            return ""

    def stop(self):
        try:
            with open(os.path.join(self.directory, "spool/pid/master.pid")) as file:
                pid = int(file.read().split()[0])
            self._control("stop")
            wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 30, "Postfix stopped")
        except (OSError, subprocess.CalledProcessError):
            pass
        remove_directory(self.directory)
