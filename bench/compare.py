"""Drives Posthorn, and Postfix with Dovecot, with the same load and prints the ratios.

Every row is at least three rounds; within a round the two systems take turns, so that whatever
else the machine does meets both. A ratio above 1 says that Posthorn is better: more messages a
second, fewer seconds, fewer milliseconds, less memory. Both run with their durable defaults;
Posthorn with row-level security and one fsync a commit, as it always does."""

import argparse
import imaplib
import json
import os
import random
import statistics
import subprocess
import sys
import time

from bench import mailbox, measure, queue
from tests.support.dns_server import DnsServer
from tests.support.dovecot import Dovecot
from tests.support.platform import ServePlatform
from tests.support.postfix import Postfix
from tests.support.processes import (free_port, note, remove_directory, temporary_directory,
                                     wait_until)

LOADGEN = os.environ.get("LOADGEN_BIN", "build/release/bench/loadgen")
PASSWORD = "bench-secret-word"
# The first one's mailbox is filled once for (d) and gets no other mail.
USERS = [f"user{n}@bench.test" for n in range(21)]
SEARCHER = "searcher@bench.test"
RARE_WORD = "quixoticzebra"


def loadgen(mode, /, **options):
    args = [LOADGEN, mode]
    for key, value in options.items():
        args += ["--" + key.replace("_", "-"), str(value)]
    result = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            timeout=3600)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {result.stderr}")
    return json.loads(result.stdout)


class PosthornSystem:
    name = "posthorn"

    def __init__(self):
        self.sink_port = free_port()
        self.platform = ServePlatform(
            demo=False,
            config={"log": {"level": "warn"},
                    "queue": {"retry_schedule_seconds": [60], "lease_seconds": 60,
                              "reconcile_seconds": 10},
                    "gateway": {"limits": {"connections_per_address": 12000,
                                           "smtp_commands": 10_000_000}},
                    "delivery": {"routes": [
                        {"pattern": pattern, "hosts": [f"127.0.0.1:{self.sink_port}"]}
                        for pattern in ("sink.example", "*.sink.example")]}},
            trusted_networks=["127.0.0.0/8=bench"])

    def start(self):
        self.platform.start()
        self.platform.passwords = {}
        self.platform.ctl("tenant", "add", "bench")
        self.platform.ctl("domain", "add", "--tenant", "bench", "bench.test")
        for user in USERS + [mailbox.POP_READER]:
            self.platform.add_account(user, PASSWORD)
        self.smtp_port = self.platform.ports().listeners["mx"]
        self.imap_port = self.platform.ports().listeners["imap"]
        self.pop3_port = self.platform.ports().listeners["pop3"]
        self.roots = [self.platform.process.pid]
        return self

    def settle(self, before, messages):
        pass  # the 250 comes after the commit into the mailbox

    def delivered(self):
        return 0

    def user(self, address):
        return address

    def stop(self):
        self.platform.stop()


class ClassicSystem:
    """Postfix 3.7 with Dovecot 2.3."""

    name = "postfix+dovecot"

    def __init__(self):
        self.sink_port = free_port()
        users = USERS + [SEARCHER, mailbox.POP_READER]
        self.dovecot = Dovecot(PASSWORD, pop3=True,
                               hashes={user: mailbox.argon2id(PASSWORD) for user in users})
        self.postfix = Postfix("bench.test", [u.split("@")[0] for u in users], settings={
            "virtual_transport": f"lmtp:inet:127.0.0.1:{self.dovecot.lmtp_port}",
            "transport_maps": f"inline:{{sink.example=smtp:[127.0.0.1]:{self.sink_port},"
                              f".sink.example=smtp:[127.0.0.1]:{self.sink_port}}}",
            "smtpd_client_connection_count_limit": "0",
            "default_process_limit": "200",
        })

    def start(self):
        self.dovecot.start()
        self.postfix.start()
        self.smtp_port = self.postfix.port
        self.imap_port = self.dovecot.imap_port
        self.pop3_port = self.dovecot.pop3_port
        with open(os.path.join(self.postfix.directory, "spool/pid/master.pid")) as file:
            self.roots = [int(file.read().split()[0]), self.dovecot.pid]
        return self

    def delivered(self):
        return self.dovecot.delivered()

    def settle(self, before, messages):
        wait_until(lambda: self.dovecot.delivered() >= before + messages, 600,
                   lambda: "all messages in the Maildirs\n" + self.postfix.log()[-2000:],
                   interval=0.01)

    def stop(self):
        self.postfix.stop()
        self.dovecot.stop()


class Row:
    def __init__(self, key, title, unit, better):
        self.key, self.title, self.unit, self.better = key, title, unit, better
        self.values = {}
        self.cpu = {}
        self.generator_cpu = {}

    def add(self, system, value, cpu_ms=None, generator_cpu_ms=None):
        self.values.setdefault(system.name, []).append(value)
        if cpu_ms is not None:
            self.cpu.setdefault(system.name, []).append(cpu_ms)
            self.generator_cpu.setdefault(system.name, []).append(generator_cpu_ms)

    def ratio(self):
        ours = statistics.median(self.values["posthorn"])
        theirs = statistics.median(self.values["postfix+dovecot"])
        return ours / theirs if self.better == "higher" else theirs / ours

    def ratios(self):
        pairs = zip(self.values["posthorn"], self.values["postfix+dovecot"])
        return sorted(a / b if self.better == "higher" else b / a for a, b in pairs)


def delivery_row(row, systems, connections, messages, size):
    for system in systems:
        before = system.delivered()
        cpu = measure.cpu_milliseconds(*system.roots)
        started = time.monotonic()
        result = loadgen("smtp", port=system.smtp_port, connections=connections,
                         messages=messages, size=size, recipients=",".join(USERS[1:]))
        system.settle(before, messages)
        elapsed = time.monotonic() - started
        measure.rest(*system.roots)  # so that work put off is counted here, and not with the next row
        row.add(system, messages / elapsed,
                (measure.cpu_milliseconds(*system.roots) - cpu) / messages,
                result["cpu_ms"] / messages)


def relay_row(row, systems, connections, messages, size, destinations=1):
    for system in systems:
        cpu = measure.cpu_milliseconds(*system.roots)
        result = loadgen("relay", port=system.smtp_port, sink_port=system.sink_port,
                         connections=connections, messages=messages, size=size,
                         recipients=",".join(
                             f"r{n}@sink.example" if destinations == 1 else
                             f"r{n}@d{n}.sink.example" for n in range(20 if destinations == 1 else destinations)))
        row.add(system, messages / result["seconds"],
                (measure.cpu_milliseconds(*system.roots) - cpu) / messages,
                result["cpu_ms"] / messages)
        measure.rest(*system.roots)  # and the sink's port is used again


def fetch_row(row, systems, what, messages):
    for system in systems:
        cpu = measure.cpu_milliseconds(*system.roots)
        result = loadgen("fetch", port=system.imap_port, user="user0@bench.test",
                         password=PASSWORD, what=what)
        row.add(system, result["seconds"],
                (measure.cpu_milliseconds(*system.roots) - cpu) / messages,
                result["cpu_ms"] / messages)


def idle_row(row, systems, connections):
    for system in systems:
        before = measure.settled_memory_kib(*system.roots)
        process = subprocess.Popen(
            [LOADGEN, "idle", "--port", str(system.imap_port), "--connections", str(connections),
             "--users", ",".join(USERS[1:]), "--password", PASSWORD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the idle connections were not made")
        time.sleep(2)
        row.add(system, (measure.memory_kib(*system.roots) - before) / connections)
        process.communicate("\n")
        time.sleep(1)


def slow_clients_rows(speed, memory, system, connections, messages):
    """Normal mail's speed with `connections` slow clients held, as a share of that without."""
    def deliver():
        started = time.monotonic()
        loadgen("smtp", port=system.smtp_port, connections=16, messages=messages, size=4096,
                recipients=",".join(USERS[1:]))
        return messages / (time.monotonic() - started)

    without = deliver()
    before = measure.memory_kib(*system.roots)
    process = subprocess.Popen(
        [LOADGEN, "slow", "--port", str(system.smtp_port), "--connections", str(connections),
         "--recipients", ",".join(USERS[1:])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "ready":
        raise RuntimeError("the slow connections were not made")
    time.sleep(2)
    memory.append((measure.memory_kib(*system.roots) - before) / connections)
    speed.append(deliver() / without)
    if process.poll() is not None:
        raise RuntimeError("the slow connections were not held")
    process.communicate("\n")
    time.sleep(1)


def print_slow_clients(connections, speed, memory):
    if not speed:
        return
    print(f"\nPosthorn with {connections} slow clients held in DATA"
          f"{'':12} {'median':>8} {'min':>8} {'max':>8} {'target':>7}")
    for title, values, unit, target in (
            ("g) normal mail, share of the speed without", [100 * v for v in speed], "%", "80"),
            ("g) memory of a slow client", memory, "KiB", "")):
        print(f"{title:52} {statistics.median(values):8.1f} {min(values):8.1f} "
              f"{max(values):8.1f} {target:>7} {unit}", flush=True)


def latency_row(row, systems, mode, messages):
    for system in systems:
        result = loadgen("latency", port=system.smtp_port, imap_port=system.imap_port,
                         user="user1@bench.test", password=PASSWORD, mode=mode, messages=messages)
        row.add(system, result["median_ms"])


def search_messages(directory, count):
    """A Maildir of `count` messages of about 3 KB: words of a vocabulary of 50,000, the common ones
    often, and one word that is in ten messages only."""
    chance = random.Random(20240501)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 10)))
             for _ in range(50_000)]
    os.makedirs(os.path.join(directory, "cur"))
    os.makedirs(os.path.join(directory, "new"))
    for number in range(count):
        text = [words[int(50_000 * chance.random() ** 3)] for _ in range(400)]
        if number % (count // 10) == 0:
            text[200] = RARE_WORD
        lines = "\r\n".join(" ".join(text[i:i + 10]) for i in range(0, 400, 10))
        with open(os.path.join(directory, f"new/{number}.bench"), "w") as file:
            file.write(f"From: Ann <ann{number}@a.example>\r\nSubject: {' '.join(text[:5])}\r\n"
                       f"Message-ID: <{number}@a.example>\r\n\r\n{lines}\r\n")


def search_milliseconds(system):
    client = imaplib.IMAP4("127.0.0.1", system.imap_port, timeout=900)
    client.login(SEARCHER, PASSWORD)
    client.select("INBOX", readonly=True)
    started = time.monotonic()
    status, data = client.uid("SEARCH", "TEXT", f'"{RARE_WORD[2:-2]}"')
    elapsed = time.monotonic() - started
    client.logout()
    if status != "OK" or len(data[0].split()) != 10:
        raise RuntimeError(f"{system.name}: SEARCH answered {data}")
    return elapsed * 1000


def fill_for_search(systems, count):
    directory = temporary_directory("search")
    try:
        search_messages(os.path.join(directory, "mail"), count)
        ours, theirs = systems
        ours.platform.add_account(SEARCHER, PASSWORD)
        ours.platform.ctl("mailbox", "import", os.path.join(directory, "mail"), SEARCHER,
                          timeout=1800)
        theirs.dovecot.add_maildir(SEARCHER, os.path.join(directory, "mail"))
    finally:
        remove_directory(directory)
    # Until our index is there; Dovecot reads its Maildir once.
    search_milliseconds(theirs)
    wait_until(lambda: search_milliseconds(ours) < 1000, 900, lambda: "the mailbox is indexed",
               interval=2)


def search_row(row, systems):
    for system in systems:
        row.add(system, search_milliseconds(system))


def print_table(rows):
    print(f"\n{'':40} {'posthorn':>12} {'postfix+':>12} {'':8} {'ratio':>7} {'min':>7} {'max':>7}"
          f" {'aim':>5}   {'CPU ms/msg':>17}   generator")
    for row, aim in rows:
        if len(row.values) < 2:
            continue
        ours = statistics.median(row.values["posthorn"])
        theirs = statistics.median(row.values["postfix+dovecot"])
        ratios = row.ratios()
        cpu = generator = ""
        if row.cpu:
            cpu = " / ".join(f"{statistics.median(row.cpu[n]):.2f}"
                             for n in ("posthorn", "postfix+dovecot"))
            generator = f"{statistics.median(row.generator_cpu['posthorn']):.2f}"
        print(f"{row.key + ') ' + row.title:40} {ours:12.2f} {theirs:12.2f} {row.unit:8} "
              f"{row.ratio():7.2f} {ratios[0]:7.2f} {ratios[-1]:7.2f} {aim:5}   {cpu:>17}   "
              f"{generator}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--only", default="a,b,c,d,e,f,g,h,i,j,n,o,p,q,r,s", help="rows, such as a,c")
    parser.add_argument("--churn-minutes", type=int, default=60, help="how long row m lasts")
    arguments = parser.parse_args()
    scale = 10 if arguments.quick else 1
    filled = 10_000 // scale
    beside_dovecot = mailbox.Beside(loadgen, PASSWORD, USERS[1:], scale)
    only = arguments.only.split(",")

    rows = [
        (Row("a", "deliver 4 KB, 16 connections", "msg/s", "higher"), 4,
         lambda row, s: delivery_row(row, s, 16, 4_000 // scale, 4096)),
        (Row("a", "deliver 4 KB, 64 connections", "msg/s", "higher"), 4,
         lambda row, s: delivery_row(row, s, 64, 4_000 // scale, 4096)),
        (Row("b", "deliver 100 KB, 16 connections", "msg/s", "higher"), 2,
         lambda row, s: delivery_row(row, s, 16, 1_000 // scale, 100_000)),
        (Row("c", "relay 4 KB, 16 connections", "msg/s", "higher"), 4,
         lambda row, s: relay_row(row, s, 16, 4_000 // scale, 4096)),
        (Row("h", "relay 4 KB to 10 destinations", "msg/s", "higher"), 4,
         lambda row, s: relay_row(row, s, 16, 4_000 // scale, 4096, 10)),
        (Row("h", "relay 4 KB to 1,000 destinations", "msg/s", "higher"), 4,
         lambda row, s: relay_row(row, s, 16, 4_000 // scale, 4096, 1_000)),
        (Row("d", f"fetch {filled} envelopes", "s", "lower"), 1,
         lambda row, s: fetch_row(row, s, "envelope", filled)),
        (Row("d", f"fetch {filled} bodies", "s", "lower"), 1,
         lambda row, s: fetch_row(row, s, "body", filled)),
        (Row("e", "memory of an idle IMAP connection", "KiB", "lower"), 10,
         lambda row, s: idle_row(row, s, 1_000 // scale)),
        (Row("f", "end to end, IDLE", "ms", "lower"), 1,
         lambda row, s: latency_row(row, s, "idle", 20)),
        (Row("f", "end to end, polled", "ms", "lower"), 1,
         lambda row, s: latency_row(row, s, "poll", 20)),
        (Row("s", f"search a part of a word in {100_000 // scale}", "ms", "lower"), 20, search_row),
        *beside_dovecot.rows(Row),
    ]
    slow, slow_speed, slow_memory = 1_000 // scale, [], []
    systems = []
    try:
        queue_rows = queue.run(only, loadgen, scale, arguments.churn_minutes)
        mailbox_rows = []
        if set(only) & {"q", "r"}:
            alone = PosthornSystem()
            try:
                mailbox_rows = mailbox.Alone(loadgen, LOADGEN, PASSWORD, scale).run(only, alone)
            finally:
                alone.stop()
        beside = set(only) & set("abcdefghnops")
        for make in (PosthornSystem, ClassicSystem) if beside else ():
            note(f"starting {make.name}")
            system = make()
            systems.append(system)
            system.start()
        if set(only) & {"d", "n"}:
            for system in systems:
                note(f"filling a mailbox with {filled} messages: {system.name}")
                before = system.delivered()
                loadgen("smtp", port=system.smtp_port, connections=16, messages=filled,
                        size=4096, recipients="user0@bench.test")
                system.settle(before, filled)
                loadgen("fetch", port=system.imap_port, user="user0@bench.test",
                        password=PASSWORD, what="envelope")  # Dovecot fills its cache
        if systems:
            beside_dovecot.fill(systems, only)
        if "s" in only:
            note(f"filling a mailbox with {100_000 // scale} messages to search")
            fill_for_search(systems, 100_000 // scale)
        for round_number in range(arguments.rounds if beside else 0):
            for row, _, run in rows:
                if row.key in only:
                    note(f"round {round_number + 1} of {arguments.rounds}: {row.title}")
                    run(row, systems)
            if "g" in only:
                note(f"round {round_number + 1} of {arguments.rounds}: slow clients")
                slow_clients_rows(slow_speed, slow_memory, systems[0], slow, 4_000 // scale)
    finally:
        for system in systems:
            system.stop()
    print_table([(row, aim) for row, aim, _ in rows])
    print_slow_clients(slow, slow_speed, slow_memory)
    queue.print_rows(queue_rows)
    mailbox.print_alone(mailbox_rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
