"""Mail flows while services and stores are killed at random points and come back. Afterwards every
accepted message must be in its mailbox exactly once, and every remote one at the remote server at
least once, with duplicates counted.

    python3 -m tests.chaos.chaos --seconds 120 --seed 7

Two replicas of each service, one PostgreSQL, one Redis, a remote SMTP sink behind real DNS. Senders
behave as real clients do: what got no reply, or a temporary one, is sent again, the same bytes to
another replica. The seed decides who is killed when; it is printed first and can be given."""

import argparse
import collections
import random
import re
import smtplib
import sys
import threading
import time

from tests.support.dns_server import DnsServer
from tests.support.platform import SplitPlatform, test_message
from tests.support.processes import note, wait_until
from tests.support.send_client import RpcError, Send
from tests.support.smtp_sink import SmtpSink

_LOCAL = ("alice@example.test", "bob@example.test")
_MARK = re.compile(rb"(?m)^Subject: chaos (\S+)\r?$")


class Sender(threading.Thread):
    """Sends messages one after another until stopped; remembers which were accepted, and where
    each has to be."""

    def __init__(self, number, platform, seed, stopping, key):
        super().__init__(daemon=True)
        self.number = number
        self.platform = platform
        self.random = random.Random(f"{seed}-{number}")
        self.stopping = stopping
        self.key = key
        self.accepted = {}   # mark -> recipients
        self.resent = 0
        self.unknown = set()  # given up without an answer: may have arrived
        self.refused = []     # permanent refusals: each is an error of the platform here
        self.way = ("mx", "submission", "api")[number % 3]

    def run(self):
        count = 0
        while not self.stopping.is_set():
            count += 1
            mark = f"{self.number}-{count}"
            recipients = [self.random.choice(_LOCAL)]
            if self.way != "mx" and self.random.random() < 0.6:
                recipients.append(f"sink{self.number}@sink.example")
            size = self.random.choice((200, 4_000, 4_000, 100_000))
            body = (f"{mark} " * (size // (len(mark) + 1)))[:size]
            body = "\r\n".join(body[i:i + 70] for i in range(0, len(body), 70)) + "\r\n"
            raw = test_message(f"chaos {mark}", body=body, message_id=f"<{mark}@chaos.test>")
            self.send_until_accepted(mark, recipients, raw.encode())

    def send_until_accepted(self, mark, recipients, raw):
        deadline = time.monotonic() + 120
        tries = 0
        while time.monotonic() < deadline:
            tries += 1
            try:
                self.send_once(mark, recipients, raw)
                self.accepted[mark] = recipients
                self.resent += tries > 1
                return
            except (OSError, smtplib.SMTPException, RpcError, EOFError) as error:
                if permanent(error):
                    self.refused.append(f"{mark} was refused for good: {error}")
                    return
                time.sleep(0.1 + self.random.random() * 0.4)
        self.unknown.add(mark)

    def send_once(self, mark, recipients, raw):
        replica = self.random.randrange(self.platform.replicas)
        if self.way == "api":
            Send(self.platform.ports(replica).api, self.key)(
                "app@example.test", recipients, raw, idempotency_key=mark)
            return
        with_login = self.way == "submission"
        client = self.platform.smtp(self.way, replica, timeout=40)
        try:
            if with_login:
                client.login("alice@example.test", "alice-secret")
            client.ehlo_or_helo_if_needed()
            code, text = client.mail("alice@example.test" if with_login else "x@outside.example")
            check(code, text)
            for recipient in recipients:
                check(*client.rcpt(recipient))
            check(*client.data(raw))
        finally:
            client.close()


class Refused(smtplib.SMTPException):
    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        self.code = code


def check(code, text):
    if code // 100 != 2:
        raise Refused(code, text)


def permanent(error):
    if isinstance(error, Refused):
        return error.code >= 500
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return error.smtp_code >= 500
    if isinstance(error, RpcError):
        return error.code().name in ("INVALID_ARGUMENT", "PERMISSION_DENIED", "NOT_FOUND",
                                     "UNAUTHENTICATED")
    return False


class Monkey:
    """Kills, waits, brings back. One disturbance at a time."""

    def __init__(self, platform, seed):
        self.platform = platform
        self.random = random.Random(f"{seed}-monkey")
        self.done = collections.Counter()

    def disturb(self):
        service = self.random.choice(("gateway", "mailbox", "queue", "delivery", "redis", "flushall",
                                      "postgres"))
        pause = self.random.uniform(0.2, 2.5)
        note(f"  {service}: down for {pause:.1f} s")
        self.done[service] += 1
        if service == "flushall":
            self.platform.redis.command("FLUSHALL")
        elif service == "redis":
            self.platform.redis.kill()
            time.sleep(pause)
            self.platform.redis.start()
        elif service == "postgres":
            self.platform.postgres.kill()
            time.sleep(pause)
            self.platform.postgres.start()
        else:
            replica = self.random.randrange(self.platform.replicas)
            self.platform.kill(service, replica)
            time.sleep(pause)
            self.platform.launch(service, replica)


def marks(messages):
    found = collections.Counter()
    for message in messages:
        match = _MARK.search(message)
        if match:
            found[match.group(1).decode()] += 1
    return found


def verify(platform, sink, senders):
    """Returns a list of what is wrong; empty is good."""
    accepted = {mark: recipients for s in senders for mark, recipients in s.accepted.items()}
    expected_local = collections.Counter(
        (r, mark) for mark, rs in accepted.items() for r in rs if r in _LOCAL)
    expected_remote = {mark for mark, rs in accepted.items()
                       if any(r.endswith("@sink.example") for r in rs)}

    def remote():
        return marks([m.data for m in sink.messages])

    def settled():
        local = {login: marks(platform.messages(login)) for login in _LOCAL}
        missing = [key for key in expected_local if not local[key[0]][key[1]]]
        return not missing and expected_remote <= set(remote())
    problems = []
    try:
        wait_until(settled, 120, "everything accepted has arrived", interval=2)
    except TimeoutError:
        pass
    for login in _LOCAL:
        found = marks(platform.messages(login))
        for mark, count in found.items():
            if count > 1:
                problems.append(f"{login} has {mark} {count} times")
        for recipient, mark in expected_local:
            if recipient == login and not found[mark]:
                problems.append(f"{login} lacks {mark}")
    at_sink = remote()
    problems += [f"the remote server lacks {mark}" for mark in expected_remote - set(at_sink)]
    duplicates = sum(count - 1 for count in at_sink.values())
    note(f"accepted {len(accepted)}, of these sent again {sum(s.resent for s in senders)}, "
         f"given up without an answer {sum(len(s.unknown) for s in senders)}; "
         f"remote {len(expected_remote)} with {duplicates} duplicates")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--senders", type=int, default=6)
    arguments = parser.parse_args()
    note(f"seed {arguments.seed}")

    sink = SmtpSink().start()
    dns = DnsServer(["sink.example. IN MX 10 mx.sink.example.",
                     "mx.sink.example. IN A 127.0.0.1"]).start()
    platform = SplitPlatform(dns=dns, config={"delivery": {"smtp_port": sink.port}})
    try:
        platform.start()
        key = platform.ctl("key", "add", "--tenant", "demo", "--description", "chaos",
                           "--json")["secret"]
        stopping = threading.Event()
        senders = [Sender(n, platform, arguments.seed, stopping, key)
                   for n in range(arguments.senders)]
        monkey = Monkey(platform, arguments.seed)
        for sender in senders:
            sender.start()
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            time.sleep(monkey.random.uniform(0.5, 3.0))
            monkey.disturb()
            note(f"  accepted so far: {sum(len(s.accepted) for s in senders)}")
        stopping.set()
        for sender in senders:
            sender.join(150)
        stuck = [s.number for s in senders if s.is_alive()]
        problems = [f"sender {n} did not finish" for n in stuck]
        problems += [refusal for sender in senders for refusal in sender.refused]
        problems += verify(platform, sink, senders)
        note("disturbances: " + ", ".join(f"{k} {v}" for k, v in sorted(monkey.done.items())))
        if not any(len(s.accepted) for s in senders):
            problems.append("nothing was accepted: the run shows nothing")
        for problem in problems[:50]:
            note(problem)
        note(f"seed {arguments.seed}: " + (f"{len(problems)} problems" if problems else "all well"))
        if problems:
            for process in platform.processes.values():
                note(f"--- {process.name}\n{process.tail(30)}")
        return 1 if problems else 0
    finally:
        platform.stop()
        dns.stop()
        sink.stop()


if __name__ == "__main__":
    sys.exit(main())
