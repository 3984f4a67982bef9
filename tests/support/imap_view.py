"""What an IMAP session knows of its selected mailbox, built from the responses alone, and checked
with each of them against what the RFCs allow a server to say."""

import contextlib
import re
import select

from tests.support.imap_wire import Wire, parse

# RFC 3501 section 7.4.1 and RFC 7162 section 3.2.10: sequence numbers hold while these run. The UID
# forms are other commands. RFC 5256 section 3 says the same of SORT and THREAD.
_KEEP_NUMBERS = ("FETCH", "STORE", "SEARCH", "SORT", "THREAD")

_CODE = re.compile(r"\[([A-Z0-9-]+)(?: ([^\]]*))?\]")


class ViewError(AssertionError):
    """The server said what it may not say, or what contradicts what it said before."""


def numbers(text):
    """The numbers of a sequence set, in its order."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def number_set(values):
    return ",".join(str(value) for value in values)


def flag_set(flags):
    """Without \\Recent, which is each session's own."""
    return frozenset(flag.lower() for flag in flags if flag.lower() != r"\recent")


class Message:
    """One message as the client knows it; None: not told yet."""

    def __init__(self, uid=None, flags=None):
        self.uid = uid
        self.flags = flags
        self.identity = None  # what the test wrote into it
        self.modseq = 0
        self.gone = False     # a FETCH left it out, so the next EXPUNGE must be its

    def __repr__(self):
        return f"{self.uid}{sorted(self.flags or ())}"


class View:
    """The messages by sequence number."""

    def __init__(self, numbered=True):
        self.messages = []
        self.numbered = numbered
        self.largest_uid = 0  # ever seen here

    def __len__(self):
        return len(self.messages)

    def uids(self):
        return [m.uid for m in self.messages]

    def find(self, uid):
        return next((m for m in self.messages if m.uid == uid), None)

    def exists(self, count):
        if count < len(self):
            raise ViewError(f"EXISTS shrank from {len(self)} to {count}")
        self.messages.extend(Message() for _ in range(count - len(self)))

    def expunge(self, number):
        if not 1 <= number <= len(self):
            raise ViewError(f"EXPUNGE of {number}, of {len(self)}")
        return self.messages.pop(number - 1)

    def vanish(self, uid):
        """Takes `uid` out. A message whose UID was never told is one of those where it would be."""
        index = self._place(uid)
        if index is None:
            raise ViewError(f"VANISHED {uid}, which is no message here: {self.uids()}")
        message = self.messages.pop(index)
        message.uid = uid
        return message

    def name(self, number, uid):
        """The message `number`, of which the server says that `uid` is its."""
        if not 1 <= number <= len(self):
            raise ViewError(f"FETCH of {number}, of {len(self)}")
        message = self.messages[number - 1]
        if uid is None or message.uid == uid:
            return message
        if message.uid is not None:
            raise ViewError(f"message {number} has UID {message.uid}, not {uid}")
        self._check_order(number - 1, uid)
        message.uid = uid
        self.largest_uid = max(self.largest_uid, uid)
        return message

    def name_by_uid(self, uid):
        """The message with that UID, told without its number: without numbers (`numbered`) those whose
        UID was never told are the last here."""
        message = self.find(uid)
        if message is None:
            message = self.messages[-1] if self.messages else None
            if message is None or message.uid is not None:
                raise ViewError(f"UIDFETCH of {uid}, which is no message here: {self.uids()}")
            message.uid = uid
            self.messages.sort(key=lambda m: (m.uid is None, m.uid))
        return message

    def _check_order(self, index, uid):
        before = [u for u in self.uids()[:index] if u is not None]
        after = [u for u in self.uids()[index + 1:] if u is not None]
        if (before and before[-1] >= uid) or (after and after[0] <= uid):
            raise ViewError(f"UID {uid} at {index + 1} does not ascend: {self.uids()}")

    def _place(self, uid):
        """The index of the message with that UID; if it was never told, of one that may have it: one
        that is known to be gone, if there is such."""
        candidates = []
        for index, message in enumerate(self.messages):
            if message.uid == uid:
                return index
            if message.uid is None:
                candidates.append(index)
            elif message.uid < uid:
                candidates.clear()
            elif self.numbered:
                break
        gone = [index for index in candidates if self.messages[index].gone]
        return next(iter(gone + candidates), None)


class LineReader:
    """A socket read by lines, which can tell whether there is something to read."""

    def __init__(self, connection):
        self.socket = connection
        self.buffer = b""

    def readable_within(self, seconds):
        return bool(self.buffer) or bool(select.select([self.socket], [], [], seconds)[0])

    def readline(self):
        while b"\n" not in self.buffer and self._more():
            pass
        end = self.buffer.find(b"\n") + 1
        line, self.buffer = self.buffer[:end], self.buffer[end:]
        return line

    def read(self, size):
        while len(self.buffer) < size and self._more():
            pass
        octets, self.buffer = self.buffer[:size], self.buffer[size:]
        return octets

    def _more(self):
        octets = self.socket.recv(65536)
        self.buffer += octets
        return bool(octets)

    def close(self):
        pass


class ViewSession(Wire):
    """A connection whose `view` follows the responses. run() takes one command, as Wire.run does, and
    checks every line that comes with it."""

    def __init__(self, port, login, password, enable=(), name=""):
        self.name = name
        self.view = None
        self.mailbox = None
        self.enabled = frozenset(enable)
        self.uid_only = "UIDONLY" in self.enabled
        self.command = None  # the name of the one that runs
        self.uid_validity = None
        self.highest_modseq = None
        self.known = {}      # what a client with QRESYNC keeps: UID -> flags, at highest_modseq
        self.log = []
        super().__init__(port)
        self.ok(f"LOGIN {login} {password}")
        if enable:
            self.ok("ENABLE " + " ".join(sorted(enable)))

    def open_file(self):
        return LineReader(self.socket)

    # Commands.

    def run(self, command):
        self._unasked()
        with self._running(command):
            answer = super().run(command)
        return self._take_code(answer)

    def idle(self, seconds):
        """IDLE until something is said, for at most `seconds`."""
        self._unasked()
        with self._running("IDLE"):
            self.tag += 1
            tag = f"t{self.tag}"
            self.socket.sendall(f"{tag} IDLE\r\n".encode())
            while not (line := self._line()).startswith(b"+"):
                self.untagged(parse(line[2:]))
            if self.file.readable_within(seconds):
                self.untagged(parse(self._line()[2:]))
            self.socket.sendall(b"DONE\r\n")
            while not (line := self._line()).startswith(tag.encode() + b" "):
                self.untagged(parse(line[2:]))
        if not line.startswith(tag.encode() + b" OK"):
            raise ViewError(f"IDLE: {line!r}")

    def select(self, mailbox):
        """SELECT; with QRESYNC enabled and the mailbox known, by what has changed since."""
        resync = ("QRESYNC" in self.enabled and self.mailbox == mailbox and
                  self.highest_modseq is not None)
        self.view = View(numbered=not self.uid_only)
        self.vanished_earlier = set()
        self.mailbox = mailbox
        validity = self.uid_validity
        if not resync:
            self.known = {}
            self.ok(f"SELECT {mailbox}")
            return
        self.ok(f"SELECT {mailbox} (QRESYNC ({validity} {self.highest_modseq}))")
        if self.uid_validity != validity:
            raise ViewError(f"UIDVALIDITY {validity} became {self.uid_validity}")
        self._merge_known()

    def fetch_all(self):
        """{UID: flags} as a new client would find it; this session's view is checked with it."""
        found = {}
        for number, items in self.fetched(self.ok(
                "UID FETCH 1:* (UID FLAGS)" if self.uid_only else "FETCH 1:* (UID FLAGS)")):
            if "UID" in items:  # not news of flags alone
                found[int(items["UID"])] = flag_set(items["FLAGS"])
        return found

    def fetched(self, answer):
        """(number or UID, {item: value}) of what an answer fetched."""
        name = "UIDFETCH" if self.uid_only else "FETCH"
        for line in answer.untagged:
            if len(line) == 3 and line[1] == name:
                yield int(line[0]), self._items(line[2], line[0] if self.uid_only else None)

    # What comes.

    @contextlib.contextmanager
    def _running(self, command):
        text = command if isinstance(command, str) else command[0]
        words = text.split()
        self.command = " ".join(words[:2]) if words[0] == "UID" else words[0]
        self.log.append(text)
        try:
            yield
        except (ViewError, OSError, EOFError, ValueError) as error:
            lately = "\n  ".join(self.log[-40:])
            raise ViewError(f"{self.name} {sorted(self.enabled)}: {error}\n  {lately}") from error
        finally:
            self.command = None

    def _unasked(self):
        """What came while no command ran."""
        while self.file.readable_within(0):
            self.untagged(parse(self._line()[2:]))

    def untagged(self, values):
        """Called by Wire for each untagged response, in order."""
        self.log.append(f"* {values}"[:200])
        if self.view is None or not values:
            return
        if len(values) > 1 and values[1] == "EXISTS":
            self.view.exists(int(values[0]))
        elif len(values) > 1 and values[1] == "EXPUNGE":
            self._may_expunge()
            if self.enabled & {"QRESYNC", "UIDONLY"}:
                raise ViewError("EXPUNGE instead of VANISHED")
            self.view.expunge(int(values[0]))
        elif values[0] == "VANISHED":
            self._vanished(values[1:])
        elif len(values) > 2 and values[1] in ("FETCH", "UIDFETCH"):
            self._fetched(values)
        elif values[0] in ("OK", "BYE", "NO"):
            if values[0] == "BYE" and self.command != "LOGOUT":
                raise ViewError(f"BYE: {values[1]!r}")
            self._take_select_code(values[1].decode("utf-8", "replace"))

    def _may_expunge(self):
        if self.command is None or self.command in _KEEP_NUMBERS:
            raise ViewError(f"EXPUNGE or VANISHED while {self.command or 'no command'} runs")

    def _vanished(self, values):
        if values[0] == ["EARLIER"]:
            self.vanished_earlier.update(numbers(values[1]))
            return
        self._may_expunge()
        for uid in numbers(values[0]):
            self.view.vanish(uid)

    @staticmethod
    def _items(items, uid=None):
        found = {}
        for i in range(0, len(items) - 1, 2):
            found[items[i]] = items[i + 1]
        if uid is not None:
            found["UID"] = uid
        return found

    def _fetched(self, values):
        if self.uid_only != (values[1] == "UIDFETCH"):
            raise ViewError(f"{values[1]} with {sorted(self.enabled)}")
        items = self._items(values[2])
        uid = int(items["UID"]) if "UID" in items else None
        if self.uid_only:
            message = self.view.name_by_uid(int(values[0]))
        else:
            if uid is None and self.enabled & {"QRESYNC", "IMAP4rev2"}:
                raise ViewError(f"FETCH without UID: {values}")
            message = self.view.name(int(values[0]), uid)
        if "FLAGS" in items:
            message.flags = flag_set(items["FLAGS"])
        if "MODSEQ" in items:
            modseq = int(items["MODSEQ"][0])
            if modseq < message.modseq:
                raise ViewError(f"MODSEQ of UID {message.uid} fell from {message.modseq} to "
                                f"{modseq}")
            message.modseq = modseq
        for name, value in items.items():
            if name.startswith("BODY[HEADER.FIELDS"):
                identity = value.split(b":", 1)[1].strip().decode()
                if message.identity not in (None, identity):
                    raise ViewError(f"UID {message.uid} was {message.identity}, is {identity}")
                message.identity = identity

    def _take_select_code(self, text):
        code = _CODE.match(text)
        if code is None:
            return
        if code[1] == "UIDVALIDITY":
            self.uid_validity = int(code[2])
        elif code[1] == "HIGHESTMODSEQ" and self.command == "SELECT":
            self.highest_modseq = int(code[2])

    def _take_code(self, answer):
        code = _CODE.match(answer.text)
        if code and code[1] == "HIGHESTMODSEQ" and "QRESYNC" in self.enabled:
            self.highest_modseq = int(code[2])
        return answer

    # QRESYNC.

    def remember(self):
        """Keeps the view for the next select(): at least what it was at highest_modseq."""
        self.known = {m.uid: m.flags for m in self.view.messages if m.uid is not None}

    def _merge_known(self):
        fetched = {m.uid: m.flags for m in self.view.messages if m.uid is not None}
        merged = {uid: flags for uid, flags in self.known.items()
                  if uid not in self.vanished_earlier}
        merged.update(fetched)
        if len(merged) != len(self.view):
            raise ViewError(f"resynchronised to {sorted(merged)}, but {len(self.view)} exist")
        for number, uid in enumerate(sorted(merged), 1):
            message = self.view.name(number, uid)
            message.flags = merged[uid]
