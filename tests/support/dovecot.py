"""A private Dovecot on loopback: IMAP, and LMTP for Postfix. Defaults for durability, Maildir, no
hibernation. Every user has the one password."""

import os
import pwd
import shutil
import subprocess

from tests.support.platform import make_certificate
from tests.support.processes import (Process, find_program, free_port, remove_directory,
                                     temporary_directory)


class Dovecot:
    def __init__(self, password, settings="", tls=False, pop3=False, hashes=None):
        """`tls`: STARTTLS too, and IMAPS; `certificate` is then for the name localhost. `hashes`: the
        users there are, with their hashed passwords; none: everybody, with `password`."""
        self.settings = settings
        self.hashes = hashes
        self.tls = tls
        self.directory = temporary_directory("dovecot")
        self.password = password
        self.imap_port = free_port()
        self.lmtp_port = free_port()
        self.imaps_port = free_port() if tls else 0
        self.pop3_port = free_port() if pop3 else 0
        self.mail = os.path.join(self.directory, "mail")
        self.process = None

    def start(self):
        owner = pwd.getpwnam("dovecot")
        os.makedirs(self.mail)
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        path = os.path.join(self.directory, "dovecot.conf")
        ssl = "ssl = no"
        if self.tls:
            self.certificate, key = make_certificate(self.directory, "localhost")
            ssl = f"ssl = yes\nssl_cert = <{self.certificate}\nssl_key = <{key}"
        passwords = f"driver = static\n  args = password={self.password}"
        if self.hashes:
            users = os.path.join(self.directory, "users")
            with open(users, "w") as file:
                file.writelines(f"{user}:{hash}\n" for user, hash in self.hashes.items())
            os.chmod(users, 0o644)
            passwords = f"driver = passwd-file\n  args = {users}"
        pop3 = ""
        if self.pop3_port:
            pop3 = ("service pop3-login {\n  inet_listener pop3 {\n"
                    f"    port = {self.pop3_port}\n  }}\n"
                    "  inet_listener pop3s {\n    port = 0\n  }\n}")
        with open(path, "w") as file:
            file.write(f"""
base_dir = {self.directory}/run
state_dir = {self.directory}/state
log_path = {self.directory}/dovecot-main.log
{ssl}
disable_plaintext_auth = no
protocols = imap lmtp{" pop3" if pop3 else ""}
listen = 127.0.0.1
first_valid_uid = 1
mail_uid = {owner.pw_uid}
mail_gid = {owner.pw_gid}
mail_location = maildir:{self.mail}/%u
auth_username_format = %Lu
default_vsz_limit = 2 G
default_client_limit = 4000
default_process_limit = 2000
mail_max_userip_connections = 4000
passdb {{
  {passwords}
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={self.mail}/%u
}}
{self.settings}
{pop3}
service imap-login {{
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = {self.imaps_port}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.lmtp_port}
  }}
}}
""")
        self.process = Process("dovecot", [find_program("dovecot"), "-F", "-c", path],
                               self.directory).start()
        self.process.wait_for_port(self.imap_port)
        return self

    @property
    def pid(self):
        return self.process.pid

    def add_maildir(self, user, source):
        """Copies a Maildir for a user that has none yet."""
        target = os.path.join(self.mail, user)
        shutil.copytree(source, target)
        owner = pwd.getpwnam("dovecot")
        subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", target], check=True)

    def delivered(self):
        """How many messages lie in all Maildirs."""
        total = 0
        for user in os.listdir(self.mail):
            for folder in ("new", "cur"):
                try:
                    total += len(os.listdir(os.path.join(self.mail, user, folder)))
                except OSError:
                    pass
        return total

    def stop(self):
        if self.process:
            self.process.stop()
        remove_directory(self.directory)
