"""Several IMAP clients change two mailboxes of one account at random, over two gateway replicas. Each
follows the responses and checks its view after every command; at the end all views are what a new
client finds, and no message is lost or there twice.

POSTHORN_CONCURRENCY_SEED repeats the choices of a run that failed (what runs beside what is the
machine's choice), POSTHORN_CONCURRENCY_COMMANDS makes it longer."""

import os
import random
import re
import smtplib
import threading
import traceback
import unittest

from tests.support.imap_view import ViewError, ViewSession, flag_set, number_set, numbers
from tests.support.platform import SplitPlatform

LOGIN = "alice@example.test"
MAILBOXES = ("INBOX", "Other")
COMMANDS = int(os.environ.get("POSTHORN_CONCURRENCY_COMMANDS", "60"))
SEED = int(os.environ.get("POSTHORN_CONCURRENCY_SEED") or random.SystemRandom().randrange(10 ** 6))

# Per client: what it enables. They are spread over the replicas.
CLIENTS = ((), ("CONDSTORE",), ("QRESYNC",), ("IMAP4rev2",), ("UIDONLY",), ("IMAP4rev2", "QRESYNC"))

# Above so many messages a client rather removes some.
PLENTY = 25

SHARED_FLAGS = ("\\Flagged", "\\Seen", "\\Answered", "$Shared")


def message(identity):
    return (f"From: x@elsewhere.example\r\nSubject: {identity}\r\nX-Identity: {identity}\r\n\r\n"
            f"The text of {identity}.\r\n").encode()


class World:
    """What must be true of the mailboxes, from what the clients were told. Messages are named
    (mailbox, UID)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.identities = {}    # of every message that somebody saw or made
        self.made = set()       # by APPEND, COPY and MOVE
        self.copies = []        # (source, copy)
        self.moved = set()      # sources of MOVE
        self.doomed = set()     # somebody set \Deleted or moved it, or was about to
        self.delivered = set()  # identities

    def see(self, name, identity):
        known = self.identities.setdefault(name, identity)
        if known != identity:
            raise ViewError(f"{name} is {identity} here and {known} elsewhere")

    def make(self, name, identity):
        with self.lock:
            if name in self.made:
                raise ViewError(f"{name} was made twice")
            self.made.add(name)
            if identity is not None:
                self.see(name, identity)

    def copy(self, source, destination, move):
        with self.lock:
            if move and source in self.moved:
                raise ViewError(f"{source} was moved twice")
            if move:
                self.moved.add(source)
            self.copies.append((source, destination))
        self.make(destination, self.identities.get(source))

    def doom(self, names):
        with self.lock:
            self.doomed.update(names)

    def check(self, found):
        """`found`: {(mailbox, UID): identity} of all that there is."""
        # A copy of what was marked as deleted is so as well.
        for source, copy in self.copies:
            if source in self.doomed:
                self.doomed.add(copy)
        for name, identity in found.items():
            self.see(name, identity)
            if name in self.moved:
                raise ViewError(f"{name} was moved and is there")
        for name in self.made:
            if name not in found and name not in self.doomed:
                raise ViewError(f"{name}, {self.identities.get(name)}, is lost")
        arrived = {}
        for name, identity in self.identities.items():
            if name in self.made:
                continue
            if identity in arrived:
                raise ViewError(f"{identity} was delivered to {arrived[identity]} and {name}")
            arrived[identity] = name
        if set(arrived) != self.delivered:
            raise ViewError(f"delivered, but not so: {set(arrived) ^ self.delivered}")
        for identity, name in arrived.items():
            if name not in found and name not in self.doomed:
                raise ViewError(f"{name}, {identity}, is lost")


class Client:
    """One client: step() runs a random command and checks the view."""

    def __init__(self, platform, world, number):
        self.platform = platform
        self.world = world
        self.number = number
        self.replica = number % len(platform.gateways)
        self.random = random.Random(f"{SEED} {number}")
        self.keyword = f"$Own{number}"  # that no other client changes
        self.own = {}                   # (mailbox, UID): whether it has the keyword
        self.count = 0
        self.session = ViewSession(platform.ports(self.replica).listeners["imap"], LOGIN,
                                   platform.passwords[LOGIN], CLIENTS[number],
                                   f"client {number} on replica {self.replica}")
        self.session.select(MAILBOXES[0])
        self.settle()

    # The view.

    @property
    def view(self):
        return self.session.view

    def name(self, uid):
        return self.session.mailbox, uid

    def settle(self):
        """Asks about messages it has only heard of, and checks."""
        wanted = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Identity)])"
        for _ in range(20):
            unknown = [i for i, m in enumerate(self.view.messages, 1) if m.identity is None]
            if not unknown:
                break
            if self.session.uid_only:
                self.session.ok(f"UID FETCH 1:* {wanted}")
            else:
                self.session.ok(f"FETCH {number_set(unknown)} {wanted}")
                self.mark_gone(unknown, lambda m: m.identity is None)
            if any(m.identity is None for m in self.view.messages):
                self.noop()
        else:
            raise ViewError(f"{self.session.name}: still unknown: {self.view.messages}")
        self.check()

    def mark_gone(self, sequence_numbers, left_out):
        """What a FETCH leaves out is expunged."""
        for number in sequence_numbers:
            if left_out(self.view.messages[number - 1]):
                self.view.messages[number - 1].gone = True

    def check(self):
        for m in self.view.messages:
            if None in (m.uid, m.flags, m.identity):
                raise ViewError(f"{self.session.name}: not known: {self.view.messages}")
            with self.world.lock:
                self.world.see(self.name(m.uid), m.identity)
            own = self.own.get(self.name(m.uid))
            if own is not None and not m.gone and own != (self.keyword.lower() in m.flags):
                raise ViewError(f"{self.session.name}: {self.name(m.uid)} should "
                                f"{'' if own else 'not '}have {self.keyword}: {m.flags}\n"
                                + "\n".join(self.session.log[-40:]))
        if any(a.uid >= b.uid for a, b in zip(self.view.messages, self.view.messages[1:])):
            raise ViewError(f"UIDs do not ascend: {self.view.uids()}")

    def pick(self, most):
        messages = [m for m in self.view.messages if not m.gone]
        return self.random.sample(messages, min(len(messages), self.random.randint(1, most)))

    def prefix_and_set(self, messages):
        """"UID " or nothing, and the set that names them."""
        if self.session.uid_only or self.random.random() < 0.5:
            return "UID ", number_set(m.uid for m in messages)
        return "", number_set(self.view.messages.index(m) + 1 for m in messages)

    # Commands.

    def step(self):
        removing = len(self.view) > PLENTY
        choices = {
            self.append: 1 if removing else 4, self.deliver: 1 if removing else 3,
            self.store: 6, self.delete: 6 if removing else 2, self.expunge: 4 if removing else 2,
            self.uid_expunge: 2, self.copy: 1 if removing else 3, self.move: 4 if removing else 2,
            self.noop: 2, self.idle: 2, self.fetch: 2, self.read: 2, self.search: 3,
            self.select: 1}
        action = self.random.choices(list(choices), list(choices.values()))[0]
        action()
        self.settle()

    def new_identity(self):
        self.count += 1
        return f"m{self.number}-{self.count}"

    def append(self):
        identity = self.new_identity()
        mailbox = self.random.choice(MAILBOXES)
        answer = self.session.ok([f"APPEND {mailbox} (\\Seen {self.keyword}) ", message(identity)])
        uid = int(re.match(r"\[APPENDUID \d+ (\d+)\]", answer.text)[1])
        self.world.make((mailbox, uid), identity)
        self.own[mailbox, uid] = True
        if mailbox == self.session.mailbox:
            self.settle()
            if self.view.find(uid) is None and (mailbox, uid) not in self.world.doomed:
                raise ViewError(f"{self.session.name} does not see what it appended: {uid}")

    def deliver(self):
        identity = self.new_identity()
        listeners = self.platform.ports(1 - self.replica).listeners
        kind, role = ((smtplib.SMTP, "mx"), (smtplib.LMTP, "lmtp"))[self.random.randrange(2)]
        with kind("127.0.0.1", listeners[role], local_hostname="client.test", timeout=60) as client:
            client.sendmail("x@elsewhere.example", [LOGIN], message(identity))
        with self.world.lock:
            self.world.delivered.add(identity)

    def store(self):
        messages = self.pick(4)
        flags = self.random.sample(SHARED_FLAGS + (self.keyword,) * 2, 2)
        if messages:
            self.set_flags(messages, self.random.choice("+-"), set(flags))

    def delete(self):
        messages = self.pick(3)
        if not messages:
            return
        self.world.doom(self.name(m.uid) for m in messages)
        self.set_flags(messages, "+", {"\\Deleted"})

    def set_flags(self, messages, sign, flags):
        prefix, chosen = self.prefix_and_set(messages)
        silent = self.random.random() < 0.4
        condition = ""
        if "CONDSTORE" in self.session.enabled and self.random.random() < 0.5:
            condition = f"(UNCHANGEDSINCE {max(m.modseq for m in messages)}) "
            silent = False
        if silent:
            # Before the answer, which may say more.
            for m in messages:
                m.flags = m.flags | flag_set(flags) if sign == "+" else m.flags - flag_set(flags)
        answer = self.session.ok(f"{prefix}STORE {chosen} {condition}{sign}FLAGS"
                                 f"{'.SILENT' if silent else ''} ({' '.join(sorted(flags))})")
        refused = re.match(r"\[MODIFIED ([0-9,:]+)\]", answer.text)
        unchanged = set(numbers(refused[1])) if refused else set()
        for m, number in zip(messages, numbers(chosen)):
            if number in unchanged:
                continue
            if self.keyword in flags:
                self.own[self.name(m.uid)] = sign == "+"
                # OK, but no sign of it: it is expunged.
                m.gone = m.gone or (self.keyword.lower() in m.flags) != (sign == "+")

    def expunge(self):
        if self.session.uid_only and self.random.random() < 0.5:
            return self.uid_expunge()
        self.session.ok("EXPUNGE")
        self.no_longer_gone()

    def uid_expunge(self):
        messages = self.pick(5)
        if messages:
            self.session.ok(f"UID EXPUNGE {number_set(m.uid for m in messages)}")

    def copy(self, move=False):
        messages = self.pick(3)
        if not messages:
            return
        source, destination = self.session.mailbox, self.random.choice(MAILBOXES)
        if move:
            destination = next(m for m in MAILBOXES if m != source)
            self.world.doom(self.name(m.uid) for m in messages)
        prefix, chosen = self.prefix_and_set(messages)
        answer = self.session.ok(f"{prefix}{'MOVE' if move else 'COPY'} {chosen} {destination}")
        texts = [answer.text] + [line[1].decode() for line in answer.untagged if line[0] == "OK"]
        for text in texts:
            code = re.match(r"\[COPYUID \d+ ([0-9,:]+) ([0-9,:]+)\]", text)
            if code is None:
                continue
            sources, copies = numbers(code[1]), numbers(code[2])
            if len(sources) != len(copies) or not set(sources) <= {m.uid for m in messages}:
                raise ViewError(f"{self.session.name}: COPYUID for {chosen}: {text}")
            for old, new in zip(sources, copies):
                self.world.copy((source, old), (destination, new), move)
                if move and self.view.find(old):
                    raise ViewError(f"{self.session.name} still sees {old}, which it moved")

    def move(self):
        self.copy(move=True)

    def noop(self):
        self.session.ok("NOOP")
        self.no_longer_gone()

    def no_longer_gone(self):
        left = [m for m in self.view.messages if m.gone]
        if left:
            raise ViewError(f"{self.session.name}: gone for FETCH, but not expunged: {left}")

    def idle(self):
        self.session.idle(self.random.uniform(0.02, 0.2))

    def fetch(self):
        before = len(self.view)
        found = self.session.fetch_all() if before else {}
        if not self.session.uid_only:
            self.mark_gone(range(1, before + 1), lambda m: m.uid not in found)

    def read(self):
        """Sets \\Seen, or doesn't."""
        messages = self.pick(2)
        if messages:
            prefix, chosen = self.prefix_and_set(messages)
            peek = self.random.choice(("", ".PEEK"))
            for _, items in self.session.fetched(
                    self.session.ok(f"{prefix}FETCH {chosen} (UID BODY{peek}[TEXT])")):
                m = self.view.find(int(items["UID"])) if "BODY[TEXT]" in items else None
                if m and f"The text of {m.identity}.\r\n".encode() != items["BODY[TEXT]"]:
                    raise ViewError(f"{self.session.name}: {m.uid} is not {m.identity}: {items}")

    def search(self):
        before = list(self.view.messages)
        uid = self.session.uid_only or self.random.random() < 0.5
        key = self.random.choice((f"KEYWORD {self.keyword}", f"UNKEYWORD {self.keyword}"))
        answer = self.session.ok(f"{'UID ' if uid else ''}SEARCH {key}")
        found = [int(value) for line in answer.named("SEARCH") for value in line]
        for line in answer.named("ESEARCH"):
            if "ALL" in line:
                found = numbers(line[line.index("ALL") + 1])
        by_uid = {m.uid: m for m in before}
        wrong = f"{self.session.name}: {key} found {found} of {before}"
        for value in found:
            if uid and value not in by_uid:
                # One that came with this command.
                if self.view.find(value) is None and value <= self.view.largest_uid:
                    raise ViewError(wrong)
                continue
            if not uid and value > len(before):
                raise ViewError(wrong)
            m = by_uid[value] if uid else before[value - 1]
            if self.own.get(self.name(m.uid), key.startswith("KEY")) != key.startswith("KEY"):
                raise ViewError(wrong)
        # All that it has marked itself are there, but those that are gone.
        missing = [m for i, m in enumerate(before, 1)
                   if self.own.get(self.name(m.uid)) == key.startswith("KEY")
                   and (m.uid if uid else i) not in found]
        self.noop()
        if any(self.view.find(m.uid) for m in missing):
            raise ViewError(f"{wrong}; not {missing}")

    def select(self):
        self.session.remember()
        self.session.select(self.random.choice(MAILBOXES))


class ConcurrencyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = SplitPlatform()
        cls.addClassCleanup(cls.platform.stop)
        cls.platform.start()

    def test_every_view_follows_what_all_do(self):
        print(f"POSTHORN_CONCURRENCY_SEED={SEED}", flush=True)
        with self.platform.imap(LOGIN) as creator:
            creator.create(MAILBOXES[1])
        world = World()
        clients = []
        for number in range(len(CLIENTS)):
            clients.append(Client(self.platform, world, number))
            self.addCleanup(clients[-1].session.close)
        failures = []

        def run(client):
            try:
                for _ in range(COMMANDS):
                    if failures:
                        return
                    client.step()
            except Exception:
                failures.append(traceback.format_exc())
        threads = [threading.Thread(target=run, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            self.fail(f"POSTHORN_CONCURRENCY_SEED={SEED}\n" + "\n".join(failures))
        try:
            self.check_end(world, clients)
        except Exception as error:
            raise AssertionError(f"POSTHORN_CONCURRENCY_SEED={SEED}: {error}") from error

    def check_end(self, world, clients):
        fresh = {}
        for mailbox in MAILBOXES:
            for replica in range(len(self.platform.gateways)):
                with ViewSession(self.platform.ports(replica).listeners["imap"], LOGIN,
                                 self.platform.passwords[LOGIN]) as session:
                    session.select(mailbox)
                    if len(session.view):
                        session.ok("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Identity)])")
                    found = {m.uid: (m.flags, m.identity) for m in session.view.messages}
                self.assertEqual(fresh.setdefault(mailbox, found), found)
        for client in clients:
            client.noop()
            client.settle()
            self.compare(client, fresh)
            for mailbox in MAILBOXES:
                client.session.remember()
                client.session.select(mailbox)
                client.settle()
                self.compare(client, fresh)
            for (mailbox, uid), own in client.own.items():
                if uid in fresh[mailbox]:
                    self.assertEqual(client.keyword.lower() in fresh[mailbox][uid][0], own,
                                     f"{client.keyword} of {mailbox} {uid}")
        world.check({(mailbox, uid): identity for mailbox, found in fresh.items()
                     for uid, (_, identity) in found.items()})
        print(f"{sum(len(c.session.log) for c in clients)} lines, {len(world.identities)} messages, "
              f"{len(world.moved)} moved, {sum(map(len, fresh.values()))} left", flush=True)

    def compare(self, client, fresh):
        self.assertEqual({m.uid: (m.flags, m.identity) for m in client.view.messages},
                         fresh[client.session.mailbox],
                         f"{client.session.name}\n" + "\n".join(client.session.log[-60:]))


if __name__ == "__main__":
    unittest.main()
