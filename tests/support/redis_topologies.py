"""Redis as production runs it: with TLS and users, watched by Sentinel, or as a cluster. Each has what
a platform needs of its Redis: start(), stop(), config() for the section `redis`, and command()."""

import os
import socket
import subprocess

from tests.support.processes import (Process, find_program, free_port, remove_directory,
                                     temporary_directory, unprivileged_user, wait_until)

PASSWORD = "redis-secret"
USER = "posthorn"
# All that Posthorn needs of a server; see docs/operations/redis.md.
RIGHTS = (f"on >{USER}-{PASSWORD} ~posthorn:* ~{{q* &posthorn:hint:* &posthorn:* -@all +@connection "
          "+@read +@write +@scripting +@pubsub +time")


def cluster_port():
    """A port whose cluster bus, 10000 above, is free too."""
    while True:
        port = free_port()
        bus = port + 10_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", bus))
            except OSError:
                continue
        return port


class RedisNode:
    """One redis-server with a password, in a directory of its own."""

    def __init__(self, name, *arguments, port=None, tls=None, sentinel_config=None):
        self.name = name
        self.port = port or free_port()
        self.tls = tls
        self.directory = temporary_directory("redis")
        self.user = unprivileged_user("redis", "nobody")
        listen = (["--port", "0", "--tls-port", self.port] if tls else ["--port", self.port])
        self.arguments = [*listen, "--bind", "127.0.0.1", "--dir", self.directory, "--save", "",
                          "--appendonly", "yes", "--appendfsync", "everysec",
                          "--repl-diskless-sync-delay", "0", *arguments]
        if sentinel_config is not None:
            path = os.path.join(self.directory, "sentinel.conf")
            port = f"port 0\ntls-port {self.port}" if tls else f"port {self.port}"
            with open(path, "w") as file:
                file.write(f"bind 127.0.0.1\n{port}\ndir {self.directory}\n" + sentinel_config)
            self.arguments = [path, "--sentinel"]
        if self.user:
            for path in (self.directory, *(os.path.join(self.directory, name)
                                           for name in os.listdir(self.directory))):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.process = Process(self.name, [find_program("redis-server"), *self.arguments],
                               self.directory, user=self.user).start()
        self.process.wait_for_port(self.port)
        return self

    def command(self, *arguments, password=PASSWORD, user=None, check=True):
        """What redis-cli says. Without `check` also where it is an error: a server that changes its
        part drops its clients."""
        tls = (["--tls", "--cacert", self.tls["ca"], "--cert", self.tls["certificate"],
                "--key", self.tls["key"]] if self.tls else [])
        result = subprocess.run(
            [find_program("redis-cli"), "-p", str(self.port), *tls, *(["--user", user] if user
                                                                      else []),
             "--no-auth-warning", *(["-a", password] if password else []),
             *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if check and (result.returncode != 0 or result.stdout.startswith("ERR")):
            raise RuntimeError(f"{arguments}: {result.stdout}")
        return result.stdout

    def kill(self):
        self.process.kill()

    def stop(self):
        if self.process:
            self.process.stop()
        remove_directory(self.directory)


def make_certificates(directory, names):
    """Files of an authority, of the servers (for `names`, as in subjectAltName) and of Posthorn."""
    path = {name: os.path.join(directory, name + ".pem")
            for name in ("ca", "ca-key", "server", "server-key", "certificate", "key")}
    common = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
              "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE", "-CA", path["ca"],
            "-CAkey", path["ca-key"]]
    for arguments in (
            ["-subj", "/CN=Redis CA", "-keyout", path["ca-key"], "-out", path["ca"]],
            ["-subj", "/CN=redis", "-addext", f"subjectAltName={names}", *leaf,
             "-keyout", path["server-key"], "-out", path["server"]],
            ["-subj", "/CN=posthorn", *leaf, "-keyout", path["key"],
             "-out", path["certificate"]]):
        subprocess.run(common + arguments, check=True, stderr=subprocess.DEVNULL)
    for name in path.values():
        os.chmod(name, 0o644)
    return path


def tls_settings(files):
    """Of a server that asks its clients for certificates, and shows its own to other servers."""
    return {"tls-cert-file": files["server"], "tls-key-file": files["server-key"],
            "tls-ca-cert-file": files["ca"], "tls-auth-clients": "yes", "tls-replication": "yes"}


class SecureRedis:
    """TLS with client certificates, and a user who may only what Posthorn needs."""

    def __init__(self):
        self.directory = temporary_directory("redis-tls")
        self.files = make_certificates(self.directory, "DNS:redis.internal")
        acl = os.path.join(self.directory, "users.acl")
        with open(acl, "w") as file:
            file.write(f"user default on >{PASSWORD} ~* &* +@all\nuser {USER} {RIGHTS}\n")
        os.chmod(acl, 0o644)
        settings = [word for name, value in tls_settings(self.files).items()
                    for word in ("--" + name, value)]
        self.node = RedisNode("redis", *settings, "--aclfile", acl, tls=self.files)

    def config(self):
        # A name that is looked up, and another in the certificate.
        return {"address": f"localhost:{self.node.port}", "user": USER,
                "password": f"{USER}-{PASSWORD}", "tls": True, "tls_ca_file": self.files["ca"],
                "tls_certificate_file": self.files["certificate"],
                "tls_key_file": self.files["key"], "tls_server_name": "redis.internal"}

    def start(self):
        self.node.start()
        return self

    def command(self, *arguments):
        return self.node.command(*arguments)

    def stop(self):
        self.node.stop()
        remove_directory(self.directory)


class WatchedRedis:
    """A master, a replica, and three sentinels with a password of their own."""

    NAME = "posthorn"
    SENTINEL_PASSWORD = f"sentinel-{PASSWORD}"

    def __init__(self):
        self.servers = [self._server(f"redis{i}") for i in range(2)]
        self.sentinels = []

    def _server(self, name):
        return RedisNode(name, "--requirepass", PASSWORD, "--masterauth", PASSWORD)

    def _sentinel(self, name, watched):
        return RedisNode(name, sentinel_config=f"requirepass {self.SENTINEL_PASSWORD}\n{watched}")

    def start(self):
        master, replica = (server.start() for server in self.servers)
        replica.command("REPLICAOF", "127.0.0.1", master.port)
        wait_until(lambda: "connected" in replica.command("ROLE", check=False).split(), 30, "a replica")
        watched = (f"sentinel monitor {self.NAME} 127.0.0.1 {master.port} 2\n"
                   f"sentinel auth-pass {self.NAME} {PASSWORD}\n"
                   f"sentinel down-after-milliseconds {self.NAME} 1000\n"
                   f"sentinel failover-timeout {self.NAME} 5000\n")
        self.sentinels = [self._sentinel(f"sentinel{i}", watched) for i in range(3)]
        for sentinel in self.sentinels:
            sentinel.start()
        for sentinel in self.sentinels:
            wait_until(lambda: self._knows(sentinel), 60, "sentinels know each other and the replica")
        return self

    def _knows(self, sentinel):
        lines = sentinel.command("SENTINEL", "MASTER", self.NAME,
                                 password=self.SENTINEL_PASSWORD).split("\n")
        said = dict(zip(lines[::2], lines[1::2]))
        return said.get("num-slaves") == "1" and said.get("num-other-sentinels") == "2"

    def config(self):
        return {"topology": "sentinel", "addresses": [s.address for s in self.sentinels],
                "sentinel_master": self.NAME, "sentinel_password": self.SENTINEL_PASSWORD,
                "password": PASSWORD}

    def master(self):
        """The server that calls itself the master, or None."""
        for server in self.servers:
            if server.process.running() and server.command("ROLE", check=False).startswith("master"):
                return server
        return None

    def command(self, *arguments):
        return self.master().command(*arguments)

    def stop(self):
        for node in (*self.sentinels, *self.servers):
            node.stop()


class SecureWatchedRedis(WatchedRedis):
    """The same where everybody, sentinels too, speaks TLS with certificates and has users: Posthorn's
    may only what it needs, here and there."""

    def __init__(self):
        self.directory = temporary_directory("redis-tls")
        # Posthorn is told names of the sentinels, and they tell it an address of the master.
        self.files = make_certificates(self.directory, "DNS:localhost,IP:127.0.0.1")
        super().__init__()

    def _server(self, name):
        acl = os.path.join(self.directory, name + ".acl")
        with open(acl, "w") as file:
            file.write(f"user default on >{PASSWORD} ~* &* +@all\nuser {USER} {RIGHTS} +role\n")
        os.chmod(acl, 0o644)
        settings = [word for name, value in tls_settings(self.files).items()
                    for word in ("--" + name, value)]
        return RedisNode(name, *settings, "--aclfile", acl, "--masterauth", PASSWORD, tls=self.files)

    def _sentinel(self, name, watched):
        settings = "".join(f"{name} {value}\n" for name, value in tls_settings(self.files).items())
        return RedisNode(name, tls=self.files, sentinel_config=(
            f"{settings}user default on >{self.SENTINEL_PASSWORD} ~* &* +@all\n"
            f"sentinel sentinel-pass {self.SENTINEL_PASSWORD}\n"
            f"user {USER} on >{USER}-{self.SENTINEL_PASSWORD} -@all +auth "
            f"+sentinel|get-master-addr-by-name\n{watched}"))

    def config(self):
        return {"topology": "sentinel",
                "addresses": [f"localhost:{sentinel.port}" for sentinel in self.sentinels],
                "sentinel_master": self.NAME, "sentinel_user": USER,
                "sentinel_password": f"{USER}-{self.SENTINEL_PASSWORD}",
                "user": USER, "password": f"{USER}-{PASSWORD}", "tls": True,
                "tls_ca_file": self.files["ca"], "tls_certificate_file": self.files["certificate"],
                "tls_key_file": self.files["key"]}

    def stop(self):
        super().stop()
        remove_directory(self.directory)


class ClusterRedis:
    """Three masters, each with a replica."""

    SLOTS = 16384

    def __init__(self):
        arguments = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1500",
                     "--cluster-require-full-coverage", "no",
                     "--requirepass", PASSWORD, "--masterauth", PASSWORD)
        self.nodes = [RedisNode(f"node{i}", *arguments, port=cluster_port()) for i in range(6)]

    def start(self):
        for i, node in enumerate(self.nodes):
            node.start()
            node.command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for i, node in enumerate(self.nodes[:3]):
            node.command("CLUSTER", "ADDSLOTSRANGE", self.SLOTS * i // 3,
                         self.SLOTS * (i + 1) // 3 - 1)
        for node in self.nodes[1:]:
            self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port)
        for node in self.nodes:
            wait_until(lambda: "cluster_known_nodes:6" in node.command("CLUSTER", "INFO", check=False), 60,
                       "all nodes know each other")
        ids = [node.command("CLUSTER", "MYID").strip() for node in self.nodes]
        for i, node in enumerate(self.nodes[3:]):
            wait_until(lambda: node.command("CLUSTER", "REPLICATE", ids[i],
                                            check=False).startswith("OK"), 30, "a replica")
        for node in self.nodes:
            wait_until(lambda: "cluster_state:ok" in node.command("CLUSTER", "INFO", check=False), 60,
                       "the cluster is up")
        for node in self.nodes[3:]:
            wait_until(lambda: "connected" in node.command("ROLE", check=False).split(), 60, "a replica")
        return self

    def config(self):
        return {"topology": "cluster", "addresses": [node.address for node in self.nodes[:2]],
                "password": PASSWORD}

    def running(self):
        return [node for node in self.nodes if node.process.running()]

    def masters(self):
        return [node for node in self.running() if node.command("ROLE", check=False).startswith("master")]

    def owner_of(self, key):
        slot = self.slot_of(key)
        for node in self.running():
            for line in node.command("CLUSTER", "NODES", check=False).splitlines():
                fields = line.split()
                if len(fields) < 8 or "myself" not in fields[2] or "master" not in fields[2]:
                    continue
                for span in fields[8:]:
                    first, _, last = span.partition("-")
                    if not span.startswith("[") and int(first) <= slot <= int(last or first):
                        return node
        return None

    def slot_of(self, key):
        return int(self.running()[0].command("CLUSTER", "KEYSLOT", key))

    def move_slot(self, key):
        """Moves the slot of `key` to the next master, as `redis-cli --cluster reshard` does."""
        slot = self.slot_of(key)
        source = self.owner_of(key)
        masters = self.masters()
        target = masters[(masters.index(source) + 1) % len(masters)]
        source_id, target_id = (n.command("CLUSTER", "MYID").strip() for n in (source, target))
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        moved = 0
        while True:
            keys = source.command("CLUSTER", "GETKEYSINSLOT", slot, 10).split()
            if not keys:
                break
            answer = source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "AUTH",
                                    PASSWORD, "KEYS", *keys)
            if not answer.startswith(("OK", "NOKEY")):
                raise RuntimeError(f"MIGRATE {keys}: {answer}")
            moved += len(keys)
        for node in (target, source, *self.masters()):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        return moved

    def command(self, *arguments):
        """On all masters."""
        return "".join(node.command(*arguments) for node in self.masters())

    def stop(self):
        for node in self.nodes:
            node.stop()
