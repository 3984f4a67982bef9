"""Rows about mailboxes: what a mail client does all day, each beside Dovecot (without a full text index,
as Debian ships it); and, of Posthorn alone beside targets, what a large mailbox costs compared with a
small one, and what an idle or selected session holds."""

import ctypes
import os
import random
import subprocess
import time

from bench import measure
from tests.support.processes import note, remove_directory, temporary_directory, wait_until

# The mailbox of the rows, filled once; nothing else is delivered there.
READER = "user0@bench.test"
POP_READER = "pop@bench.test"
COPY_TO = "Copied"
# A word of a text that the load generator makes; in few messages.
TEXT = "tooth"

# (key, title, command, times in a round, before, after, aim)
_COMMANDS = (
    ("SELECT", "SELECT INBOX", 20, "UNSELECT", "", 1),
    ("FETCH of all envelopes", "FETCH 1:* (ENVELOPE)", 3, "", "", 1),
    ("FETCH of all bodies", "FETCH 1:* (BODY.PEEK[])", 3, "", "", 1),
    ("FETCH of all flags", "FETCH 1:* (FLAGS)", 5, "", "", 1),
    ("STORE of a flag of all", "STORE 1:* +FLAGS.SILENT (\\Flagged)", 2, "",
     "STORE 1:* -FLAGS.SILENT (\\Flagged)", 1),
    ("SEARCH by subject", 'SEARCH HEADER Subject "message 77"', 5, "", "", 1),
    ("SEARCH by text", f'SEARCH TEXT "{TEXT}"', 2, "", "", 20),
    ("SORT by subject", "SORT (SUBJECT) UTF-8 ALL", 3, "", "", 1),
    ("COPY of all", f"COPY 1:* {COPY_TO}", 2, f"CREATE {COPY_TO}", f"DELETE {COPY_TO}", 1),
)


def argon2id(password):
    """For Dovecot, at the cost of Posthorn's own hashes (passwords.cc)."""
    sodium = ctypes.CDLL("libsodium.so.23")
    sodium.sodium_init()
    out = ctypes.create_string_buffer(128)
    given = password.encode()
    if sodium.crypto_pwhash_str(out, given, ctypes.c_ulonglong(len(given)), ctypes.c_ulonglong(2),
                                ctypes.c_size_t(19 * 1024 * 1024)) != 0:
        raise RuntimeError("Argon2id failed")
    return "{ARGON2ID}" + out.value.decode()


class Beside:
    """The rows beside Dovecot."""

    def __init__(self, loadgen, password, users, scale):
        self.loadgen, self.password, self.users = loadgen, password, users
        self.messages = 10_000 // scale
        self.pop_messages = 1_000 // scale
        self.logins = 400 // scale
        self.appends = 2_000 // scale

    def rows(self, row_type):
        """(row, aim, run) each: (n) commands, (o) logins, (p) POP3."""
        rows = []
        for title, command, times, before, after, aim in _COMMANDS:
            def run(row, systems, command=command, times=times, before=before, after=after):
                for system in systems:
                    row.add(system, self._milliseconds(system, command, times, before, after))
            rows.append((row_type("n", f"{title}, {self.messages} messages", "ms", "lower"), aim,
                         run))
        for connections in (1, 16):
            rows.append((row_type("n", f"APPEND 4 KB, {connections} connection"
                                       f"{'s' if connections > 1 else ''}", "msg/s", "higher"), 1,
                         lambda row, systems, c=connections: self._append(row, systems, c)))
        rows.append((row_type("o", "log in and out, 16 connections", "/s", "higher"), 10,
                     self._login))
        rows.append((row_type("p", f"POP3 download of {self.pop_messages}", "s", "lower"), 1,
                     self._pop3))
        return rows

    def fill(self, systems, only):
        if "n" in only:
            for system in systems:
                note(f"until the texts of {system.name} are indexed")
                self._milliseconds(system, "FETCH 1:* (ENVELOPE)", 1)  # Dovecot's cache
            wait_until(lambda: self._milliseconds(systems[0], _COMMANDS[6][1], 1) < 1000, 300,
                       lambda: "the mailbox is indexed", interval=2)
        if "p" in only:
            for system in systems:
                before = system.delivered()
                self.loadgen("smtp", port=system.smtp_port, connections=16,
                             messages=self.pop_messages, size=4096, recipients=POP_READER)
                system.settle(before, self.pop_messages)

    def _milliseconds(self, system, command, times, before="", after=""):
        return self.loadgen("imap", port=system.imap_port, user=READER, password=self.password,
                            command=command, times=times, before=before, after=after)["median_ms"]

    def _append(self, row, systems, connections):
        messages = self.appends if connections > 1 else self.appends // 4
        for system in systems:
            cpu = measure.cpu_milliseconds(*system.roots)
            result = self.loadgen("append", port=system.imap_port, connections=connections,
                                  users=",".join(self.users), password=self.password,
                                  messages=messages, size=4096)
            row.add(system, messages / result["seconds"],
                    (measure.cpu_milliseconds(*system.roots) - cpu) / messages,
                    result["cpu_ms"] / messages)

    def _login(self, row, systems):
        for system in systems:
            # Dovecot starts its processes, and each account is known to Posthorn: it remembers
            # for some minutes that a password was right.
            self.loadgen("login", port=system.imap_port, connections=16,
                         users=",".join(self.users), password=self.password,
                         messages=len(self.users))
            cpu = measure.cpu_milliseconds(*system.roots)
            result = self.loadgen("login", port=system.imap_port, connections=16,
                                  users=",".join(self.users), password=self.password,
                                  messages=self.logins)
            row.add(system, self.logins / result["seconds"],
                    (measure.cpu_milliseconds(*system.roots) - cpu) / self.logins,
                    result["cpu_ms"] / self.logins)

    def _pop3(self, row, systems):
        for system in systems:
            row.add(system, self.loadgen("pop3", port=system.pop3_port, user=POP_READER,
                                         password=self.password,
                                         messages=self.pop_messages)["seconds"])


def _write_mbox(path, count):
    """`count` messages of some 600 octets: an address, a subject of three words, ten words."""
    chance = random.Random(20240502)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9)))
             for _ in range(20_000)]
    with open(path, "w") as file:
        for number in range(count):
            subject = " ".join(chance.choices(words, k=3))
            line = " ".join(chance.choices(words, k=10))
            file.write(f"From ann Thu Feb  1 12:00:00 2024\nFrom: Ann <ann{number % 1000}@a.example>"
                       f"\nTo: Bo <bo@bench.test>\nSubject: {subject} s{number}s\n"
                       "Date: Thu, 01 Feb 2024 12:00:00 +0000\n"
                       f"Message-ID: <{number}@a.example>\n\n{line}\n{line[::-1]}\n\n")


class Alone:
    """(q) and (r): Posthorn alone, on a platform of its own."""

    def __init__(self, loadgen, loadgen_path, password, scale):
        self.loadgen, self.loadgen_path, self.password = loadgen, loadgen_path, password
        self.idle = 10_000 // scale
        self.large = 1_000_000 // scale
        self.selected = 100_000 // scale
        self.small = 10_000 // scale
        self.sessions = 20

    def run(self, only, system):
        """(key, title, value, unit, target) each."""
        system.start()
        rows = []
        if "q" in only:
            users = [f"idle{n}@bench.test" for n in range(20)]
            for user in users:
                system.platform.add_account(user, self.password)
            note(f"{self.idle} idle connections")
            rows.append(("q", f"memory of each of {self.idle} idle connections",
                         self._growth(system, users, self.idle), "KiB", "12"))
            self._import(system, "selected", self.selected)
            note(f"{self.sessions} sessions on {self.selected} messages")
            rows.append(("q", f"memory of a session on {self.selected} messages",
                         self._growth(system, ["selected@bench.test"], self.sessions) / 1024,
                         "MiB", "3"))
        if "r" in only:
            self._import(system, "small", self.small)
            seconds = self._import(system, "large", self.large)
            rows.append(("r", f"import of {self.large} messages", self.large / seconds, "msg/s", ""))
            for user, count in (("small", self.small), ("large", self.large)):
                note(f"until the texts of {user} are indexed")
                wait_until(lambda: self._p99(system, user, count, _header(count), 1) < 500, 1800,
                           lambda: "the mailbox is indexed", interval=5)
            for title, command, times, after in (
                    ("SELECT", "SELECT INBOX", 100, ""),
                    ("FETCH of 50", "FETCH %r (FLAGS ENVELOPE)", 500, ""),
                    ("STORE of 50", "STORE %r FLAGS.SILENT (\\Flagged)", 500, ""),
                    ("SEARCH by header", None, 100, "")):
                figures = []
                for user, count in (("small", self.small), ("large", self.large)):
                    figures.append(self._p99(system, user, count, command or _header(count), times))
                rows += [("r", f"{title}: p99 with {self.small} messages", figures[0], "ms", ""),
                         ("r", f"{title}: p99 with {self.large}", figures[1], "ms", ""),
                         ("r", f"{title}: times as long", figures[1] / figures[0], "", "2")]
        return rows

    def _p99(self, system, user, count, command, times):
        return self.loadgen("imap", port=system.imap_port, user=f"{user}@bench.test",
                            password=self.password, command=command, times=times,
                            messages=count)["p99_ms"]

    def _import(self, system, user, count):
        directory = temporary_directory("mbox")
        try:
            path = os.path.join(directory, "INBOX")
            note(f"filling {user} with {count} messages")
            _write_mbox(path, count)
            address = f"{user}@bench.test"
            system.platform.add_account(address, self.password)
            started = time.monotonic()
            system.platform.ctl("mailbox", "import", path, address, "--format", "mbox",
                                "--into", "INBOX", timeout=3600)
            return time.monotonic() - started
        finally:
            remove_directory(directory)

    def _growth(self, system, users, connections):
        """KiB that Posthorn's processes grow by for each of `connections` sessions in IDLE."""
        mine = measure.named(system.roots, "posthorn")
        before = measure.settled_memory_kib(*mine, alone=True)
        process = subprocess.Popen(
            [self.loadgen_path, "idle", "--port", str(system.imap_port), "--connections",
             str(connections), "--users", ",".join(users), "--password", self.password],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("the idle connections were not made")
            after = measure.settled_memory_kib(*mine, alone=True)
            if process.poll() is not None:
                raise RuntimeError("the idle connections were not held")
            return (after - before) / connections
        finally:
            process.communicate("\n")


def _header(count):
    return f'SEARCH HEADER Subject "s{count * 7 // 10}s"'


def print_alone(rows):
    if not rows:
        return
    print(f"\n{'Mailboxes of Posthorn':56} {'':>12} {'':8} {'target':>8}")
    for key, title, value, unit, target in rows:
        print(f"{key + ') ' + title:56} {value:12.2f} {unit:8} {target:>8}", flush=True)
