"""A private Dovecot: LMTP on a unix socket into Maildirs, and SASL for Postfix."""

import os
import pwd

from tests.support.processes import (Process, find_program, remove_directory, temporary_directory,
                                     wait_until)


class DovecotLmtp:
    def __init__(self, users):
        """`users`: passwords by full address."""
        self.users = dict(users)
        self.directory = temporary_directory("dovecot")
        self.lmtp = os.path.join(self.directory, "lmtp")
        self.auth = os.path.join(self.directory, "auth")
        self.process = None

    def start(self):
        os.chmod(self.directory, 0o755)
        owner = pwd.getpwnam("dovecot")
        self.mail = os.path.join(self.directory, "mail")
        os.makedirs(self.mail)
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        with open(os.path.join(self.directory, "users"), "w") as file:
            for address, password in self.users.items():
                file.write(f"{address}:{{PLAIN}}{password}::::::\n")
        path = os.path.join(self.directory, "dovecot.conf")
        with open(path, "w") as file:
            file.write(f"""
base_dir = {self.directory}/run
state_dir = {self.directory}/state
log_path = {self.directory}/dovecot-main.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256
protocols = lmtp
first_valid_uid = 1
mail_uid = {owner.pw_uid}
mail_gid = {owner.pw_gid}
mail_location = maildir:{self.mail}/%u
auth_username_format = %Lu
passdb {{
  driver = passwd-file
  args = {self.directory}/users
}}
userdb {{
  driver = passwd-file
  args = {self.directory}/users
  override_fields = uid={owner.pw_uid} gid={owner.pw_gid} home={self.mail}/%u
}}
service auth {{
  unix_listener {self.auth} {{
    mode = 0666
  }}
}}
service lmtp {{
  unix_listener {self.lmtp} {{
    mode = 0666
  }}
}}
""")
        self.process = Process("dovecot", [find_program("dovecot"), "-F", "-c", path],
                               self.directory).start()
        wait_until(lambda: os.path.exists(self.lmtp) and os.path.exists(self.auth), 60,
                   lambda: "Dovecot's sockets\n" + self.log())
        return self

    def log(self):
        try:
            with open(os.path.join(self.directory, "dovecot-main.log")) as file:
                return file.read()
        except OSError:
            return ""

    def messages(self, address):
        path = os.path.join(self.mail, address, "new")
        result = []
        for name in sorted(os.listdir(path)) if os.path.isdir(path) else []:
            with open(os.path.join(path, name), "rb") as file:
                result.append(file.read())
        return result

    def stop(self):
        if self.process:
            self.process.stop()
        remove_directory(self.directory)
