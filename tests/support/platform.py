"""A running Posthorn for tests: either `posthorn serve` with its embedded stores, or the four
services as separate processes, two replicas each, with a private PostgreSQL and Redis.

Both offer the same attributes: ports for clients, ctl() for administration, and the accounts of
the tenant `demo` with the domain example.test."""

import imaplib
import json
import os
import poplib
import smtplib
import ssl
import subprocess
import time

from tests.support.processes import (Process, free_port, remove_directory, temporary_directory,
                                     wait_until)
from tests.support.stores import PostgresServer, RedisServer

POSTHORN = os.environ.get("POSTHORN_BIN", "build/dev/apps/posthorn/posthorn")
POSTHORNCTL = os.environ.get("POSTHORNCTL_BIN", "build/dev/apps/posthornctl/posthornctl")

PASSWORDS = {"alice@example.test": "alice-secret", "bob@example.test": "bob-secret"}

_LISTENERS = (("smtp_listeners", "mx"), ("smtp_listeners", "submission"),
              ("smtp_listeners", "submissions"), ("smtp_listeners", "lmtp"),
              ("imap_listeners", "imap"), ("imap_listeners", "imaps"),
              ("pop3_listeners", "pop3"), ("pop3_listeners", "pop3s"))


def _yaml(value, indent=0):
    """Enough YAML for configuration files."""
    pad = "  " * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines.append(f"{pad}{key}:")
            lines.append(_yaml(item, indent + 1))
        elif isinstance(item, list):
            lines.append(f"{pad}{key}:")
            for entry in item:
                lines.append(f"{pad}  - {json.dumps(entry)}")
        else:
            lines.append(f"{pad}{key}: {json.dumps(item)}")
    return "\n".join(lines)


def _merge(base, extra):
    for key, value in (extra or {}).items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
    return base


class GatewayPorts:
    """The ports of one gateway process."""

    def __init__(self):
        self.listeners = {role: free_port() for _, role in _LISTENERS}
        self.api = free_port()
        self.http = free_port()

    def config(self, plaintext_auth=True, strict_paths=False, trusted_networks=(),
               listener_options=None):
        """`listener_options`: more keys of a listener, by role."""
        gateway = {"api_address": "127.0.0.1", "api_port": self.api, "api_tls": False}
        for section, role in _LISTENERS:
            gateway.setdefault(section, []).append({
                "role": role, "address": "127.0.0.1", "port": self.listeners[role],
                "allow_plaintext_auth_on_loopback": plaintext_auth,
                **({"strict_paths": True} if strict_paths and section == "smtp_listeners" else {}),
                **({"trusted_networks": list(trusted_networks)}
                   if trusted_networks and role == "mx" else {}),
                **(listener_options or {}).get(role, {})})
        return gateway


class _Clients:
    """What both kinds of platform offer. `self.gateways` lists GatewayPorts."""

    def ports(self, replica=0):
        return self.gateways[replica]

    def smtp(self, role="mx", replica=0, timeout=60):
        port = self.ports(replica).listeners[role]
        if role == "submissions":
            return smtplib.SMTP_SSL("127.0.0.1", port, local_hostname="client.test",
                                    timeout=timeout, context=_unverified())
        return smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=timeout)

    def submit(self, login, recipients, message, replica=0, sender=None):
        """Authenticated submission over STARTTLS; returns nothing or raises."""
        with self.smtp("submission", replica) as client:
            client.starttls(context=_unverified())
            client.login(login, self.passwords[login])
            client.sendmail(login if sender is None else sender, recipients, message)

    def imap(self, login=None, replica=0, tls=False):
        ports = self.ports(replica).listeners
        if tls:
            client = imaplib.IMAP4_SSL("127.0.0.1", ports["imaps"], ssl_context=_unverified(),
                                       timeout=60)
        else:
            client = imaplib.IMAP4("127.0.0.1", ports["imap"], timeout=60)
        if login and login.isascii():
            client.login(login, self.passwords[login])
        elif login:  # imaplib's LOGIN has no way to say it
            client.authenticate("PLAIN",
                                lambda _: f"\0{login}\0{self.passwords[login]}".encode())
        return client

    def pop3(self, login=None, replica=0, tls=False):
        ports = self.ports(replica).listeners
        if tls:
            client = poplib.POP3_SSL("127.0.0.1", ports["pop3s"], context=_unverified(),
                                     timeout=60)
        else:
            client = poplib.POP3("127.0.0.1", ports["pop3"], timeout=60)
        if login:
            client.user(login)
            client.pass_(self.passwords[login])
        return client

    def messages(self, login, mailbox="INBOX", replica=0, after_outage=False):
        """All messages of a mailbox as bytes, in UID order. After an outage each part finds the others
        again for itself: none, as long as a login is answered [UNAVAILABLE]."""
        try:
            client = self.imap(login, replica)
        except imaplib.IMAP4.error as error:
            if after_outage and "[UNAVAILABLE]" in str(error):
                return []
            raise
        try:
            status, _ = client.select(mailbox, readonly=True)
            if status != "OK":
                return []
            _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
            return [part[1] for part in data if isinstance(part, tuple)]
        finally:
            client.logout()

    def ctl(self, *args, stdin=None, check=True, timeout=120):
        """posthornctl; returns its output, or parsed JSON where --json is given."""
        command = [POSTHORNCTL, "--target", f"127.0.0.1:{self.ports().api}", "--plaintext",
                   "--token-file", self.token_file, *args]
        result = subprocess.run(command, input=stdin, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=timeout)
        if check and result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: status {result.returncode}\n"
                               f"{result.stdout}{result.stderr}")
        if not check:
            return result
        return json.loads(result.stdout) if "--json" in args else result.stdout

    def add_account(self, address, password):
        self.ctl("account", "add", address, stdin=password + "\n")
        self.passwords[address] = password

    def create_demo(self):
        self.passwords = {}
        self.ctl("tenant", "add", "demo")
        self.ctl("domain", "add", "--tenant", "demo", "example.test")
        for address, password in PASSWORDS.items():
            self.add_account(address, password)


def _unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _common(dns, extra):
    config = {
        "hostname": "mail.example.test",
        "log": {"level": "debug"},
        "queue": {"retry_schedule_seconds": [1, 1, 2], "reconcile_seconds": 1, "lease_seconds": 5},
        "delivery": {},
    }
    if dns is not None:
        config["dns"] = {"address": dns.address, "port": dns.port, "cache": "off",
                         "timeout_seconds": 5}
    return _merge(config, extra)


class ServePlatform(_Clients):
    """`posthorn serve`, all in one, embedded PostgreSQL and Redis."""

    kind = "serve"

    def __init__(self, dns=None, config=None, demo=True, **gateway_options):
        self.directory = temporary_directory("serve")
        self.data = os.path.join(self.directory, "data")
        self.gateways = [GatewayPorts()]
        self.token_file = os.path.join(self.data, "admin-token")
        self.demo = demo
        self.config = _common(dns, config)
        self.config["gateway"] = _merge(self.gateways[0].config(**gateway_options),
                                        self.config.get("gateway"))
        self.config["http"] = {"address": "127.0.0.1", "port": self.gateways[0].http}
        self.config_file = os.path.join(self.directory, "posthorn.yaml")
        self.process = None

    def start(self):
        with open(self.config_file, "w") as file:
            file.write(_yaml(self.config) + "\n")
        os.chmod(self.config_file, 0o644)
        self.launch()
        if self.demo:
            self.create_demo()
        return self

    def launch(self):
        self.process = Process("posthorn", [POSTHORN, "serve", "--config", self.config_file,
                                            "--data-dir", self.data], self.directory).start()
        self.wait_ready()

    def wait_ready(self, timeout=120):
        wait_until(self._healthy, timeout,
                   lambda: "posthorn serve is ready\n" + self.process.tail())

    def _healthy(self):
        if not self.process.running():
            raise RuntimeError(f"posthorn serve ended:\n{self.process.tail()}")
        return http_status(self.gateways[0].http, "/readyz") == 200

    def stop(self):
        try:
            if self.process:
                return self.process.stop(timeout=60)
        finally:
            remove_directory(self.directory)


class SplitPlatform(_Clients):
    """Two replicas of each service, as separate processes that know each other by mutual TLS."""

    kind = "split"
    replicas = 2

    def __init__(self, dns=None, config=None, demo=True, redis=None, **gateway_options):
        self.directory = temporary_directory("split")
        self.gateways = [GatewayPorts() for _ in range(self.replicas)]
        self.demo = demo
        self.postgres = PostgresServer()
        self.redis = redis or RedisServer()
        self.token_file = os.path.join(self.directory, "admin-token")
        self.service_token = os.path.join(self.directory, "service-token")
        self.internal = {name: [free_port() for _ in range(self.replicas)]
                         for name in ("mailbox", "queue", "delivery", "gateway")}
        self.base = _common(dns, config)
        self.gateway_options = gateway_options
        self.processes = {}

    def _target(self, name):
        # Several replicas behind one target; round robin and failover are gRPC's.
        return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in self.internal[name])

    def _write_config(self, name, replica):
        config = json.loads(json.dumps(self.base))
        config["data_dir"] = os.path.join(self.directory, f"{name}{replica}")
        os.makedirs(config["data_dir"], exist_ok=True)
        config["postgres"] = {"url": self.postgres.url(), "connections": 3}
        config["redis"] = self.redis.config()
        config["rpc"] = {"mailbox": self._target("mailbox"), "queue": self._target("queue"),
                         "listen": f"127.0.0.1:{self.internal[name][replica]}",
                         "token_file": self.service_token, **self.internal_tls,
                         "server_name": "posthorn.internal"}
        ports = self.gateways[replica]
        if name == "gateway":
            config["gateway"] = _merge(ports.config(**self.gateway_options),
                                       config.get("gateway"))
            config["gateway"]["admin_token_file"] = self.token_file
            config["http"] = {"address": "127.0.0.1", "port": ports.http}
        else:
            config["http"] = {"address": "127.0.0.1", "port": free_port()}
        certificate, key = self.certificate
        config["tls"] = {"certificate_file": certificate, "key_file": key}
        config["user"] = "root" if os.getuid() == 0 else ""
        path = os.path.join(self.directory, f"{name}{replica}.yaml")
        with open(path, "w") as file:
            file.write(_yaml(config) + "\n")
        return path

    def start(self):
        self.postgres.create()
        self.redis.start()
        for path, text in ((self.token_file, "test-administrator-token-0123456789"),
                           (self.service_token, "test-service-token-0123456789abcdef")):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(text + "\n")
        self.certificate = make_certificate(self.directory)
        self.internal_tls = make_internal_tls(self.directory)
        for name in self.internal:
            for replica in range(self.replicas):
                self._write_config(name, replica)
        subprocess.run([POSTHORN, "migrate", "--config",
                        os.path.join(self.directory, "mailbox0.yaml")], check=True, timeout=120)
        for name in self.internal:
            for replica in range(self.replicas):
                self.launch(name, replica)
        for replica in range(self.replicas):
            wait_until(lambda: http_status(self.gateways[replica].http, "/readyz") == 200, 120,
                       lambda: "gateway is ready\n" + self.processes["gateway", replica].tail())
        if self.demo:
            self.create_demo()
        return self

    def launch(self, name, replica):
        self.processes[name, replica] = Process(
            f"{name}{replica}",
            [POSTHORN, name, "--config", os.path.join(self.directory, f"{name}{replica}.yaml")],
            self.directory).start()

    def kill(self, name, replica):
        self.processes[name, replica].kill()

    def stop(self):
        failures = []
        for process in self.processes.values():
            try:
                process.stop(timeout=60)
            except TimeoutError as error:
                failures.append(str(error))
        self.redis.stop()
        self.postgres.stop()
        remove_directory(self.directory)
        if failures:
            raise TimeoutError("\n".join(failures))


def make_certificate(directory, name="mail.example.test"):
    certificate = os.path.join(directory, "certificate.pem")
    key = os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                    "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    return certificate, key


def make_internal_tls(directory):
    """A CA and one certificate of it that all services share; the `rpc` keys that name them."""
    path = {name: os.path.join(directory, f"internal-{name}.pem")
            for name in ("ca", "ca-key", "certificate", "key")}
    common = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
              "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for arguments in (
            ["-subj", "/CN=Posthorn internal CA", "-keyout", path["ca-key"], "-out", path["ca"]],
            ["-subj", "/CN=posthorn", "-addext", "subjectAltName=DNS:posthorn.internal",
             "-addext", "basicConstraints=critical,CA:FALSE", "-CA", path["ca"],
             "-CAkey", path["ca-key"], "-keyout", path["key"], "-out", path["certificate"]]):
        subprocess.run(common + arguments, check=True, stderr=subprocess.DEVNULL)
    return {"certificate_file": path["certificate"], "key_file": path["key"],
            "ca_file": path["ca"]}


def http_status(port, path):
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def wait_for_messages(platform, login, count, timeout=60, mailbox="INBOX", replica=0):
    """Waits until a mailbox has at least `count` messages and returns them."""
    def enough():
        found = platform.messages(login, mailbox, replica)
        return found if len(found) >= count else None
    return wait_until(enough, timeout, f"{count} messages in {login} {mailbox}", interval=0.2)


def test_message(subject, body="Hello.\r\n", sender="alice@example.test",
                 to="bob@example.test", message_id=None):
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}",
             time.strftime("Date: %a, %d %b %Y %H:%M:%S +0000", time.gmtime())]
    if message_id:
        lines.append(f"Message-ID: {message_id}")
    return "\r\n".join(lines) + "\r\n\r\n" + body
