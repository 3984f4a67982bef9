"""The same messages and commands to Dovecot and to Posthorn: what differs is in EXPLAINED, with the
reason, and nothing else does."""

import unittest
from base64 import b64encode

from tests.support import corpus, structure_corpus
from tests.support.dovecot import Dovecot
from tests.support.imap_wire import Wire
from tests.support.platform import ServePlatform

USER, PASSWORD = "alice@example.test", "alice-secret"

FETCHES = [
    "ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE", "INTERNALDATE", "FLAGS",
    "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[]<3.7>", "BODY.PEEK[]<99999999.5>",
    "BODY.PEEK[TEXT]<0.4>", "BODY.PEEK[HEADER.FIELDS (SUBJECT From x-absent)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (Subject FROM)]", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]",
    "BODY.PEEK[1.1]", "BODY.PEEK[1.2.MIME]", "BODY.PEEK[1.HEADER]", "BODY.PEEK[1.TEXT]",
    "BODY.PEEK[2]", "BODY.PEEK[2.MIME]", "BODY.PEEK[2]<1.2>", "BODY.PEEK[7]",
    "BODY.PEEK[1.HEADER.FIELDS (SUBJECT)]", "RFC822.HEADER",
]

SEARCHES = [
    "ALL", "SEEN", "UNSEEN", "ANSWERED", "FLAGGED", "DELETED", "DRAFT", "NEW", "OLD", "RECENT",
    "KEYWORD custom", "UNKEYWORD custom", "NOT SEEN", "OR SEEN FLAGGED", "SUBJECT inner",
    "SUBJECT outer", 'SUBJECT ""', "FROM example.org", "FROM Ann", "TO bo@", "CC c@example.org",
    "BCC b@example.org", "BODY hello", "BODY Hello", "TEXT ann", "TEXT Subject", "BODY deep",
    "HEADER message-id alt", 'HEADER in-reply-to ""', 'HEADER x-absent ""', "LARGER 500",
    "SMALLER 200", "BEFORE 3-Nov-2026", "ON 3-Nov-2026", "SINCE 3-Nov-2026", "SENTON 3-Nov-2026",
    "SENTBEFORE 4-Nov-2026", "SENTSINCE 1-Nov-2026", "1:5", "1,3,5:7", "UID 1:3", "*", "3:1",
    "(SEEN FLAGGED)", "NOT (SUBJECT inner BODY x)", "OR OR SEEN FLAGGED DELETED",
    "SUBJECT spaces", 'CHARSET UTF-8 SUBJECT "Jörg"', 'CHARSET UTF-8 SUBJECT "grüße"',
    'CHARSET UTF-8 FROM "jörg"', 'CHARSET UTF-8 BODY "x"',
    *(f'CHARSET UTF-8 {key} "{text}"' for key in ("SUBJECT", "TEXT") for text in (
        "STRASSE", "straße", "MÜLLEREI", "mu\u0308llerei", "mulle", "mu", "ﬁnal", "final", "ａｂｃ", "ABC",
        "ΣΊΣΥΦΟΣ", "σίσυφος", "Ǆurđa", "ǆurđa", "각", "가", "ЁЖИК", "ёжик", "ежик", "Åland", "åland")),
]

# What a comparator takes for the same, and what it does not (RFC 5051).
SUBJECTS = ["Straße", "STRASSE", "Müllerei", "Mu\u0308llerei", "mullerei", "ﬁnale", "FINALE", "ＡＢＣ", "abc",
            "Σίσυφος", "Ǆurđa", "각본", "Ёжик", "ежик", "\u212bland", "Zebra", "ärger", "arger"]


def odd_letters():
    return [(f"subject {text}", (f"From: a@example.org\r\nSubject: =?utf-8?b?{b64encode(text.encode()).decode()}?=\r\n"
                                 "Message-ID: <l%d@example.org>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n\r\n" % number).encode() +
             text.encode() + b"\r\n") for number, text in enumerate(SUBJECTS)]

SORTS = ["ARRIVAL", "REVERSE ARRIVAL", "SIZE", "REVERSE SIZE", "SUBJECT", "FROM", "TO", "CC", "DATE",
         "REVERSE SUBJECT DATE", "SIZE REVERSE ARRIVAL"]

THREADS = ["ORDEREDSUBJECT", "REFERENCES"]

MAILBOX_COMMANDS = [
    "CREATE a", "CREATE a/b", "CREATE a/b/c", "CREATE a/b", "CREATE INBOX", "CREATE a/b/c/", 'LIST "" "a*"', 'LIST "" "a/%"',
    'LIST "" "%"', 'LIST "a/" "%"', 'LIST "" ""', 'LSUB "" "a*"', "SUBSCRIBE a/b", 'LSUB "" "a*"',
    'LSUB "" "%"', "UNSUBSCRIBE a/b", "UNSUBSCRIBE a/b", "RENAME a/b z", 'LIST "" "*"',
    "RENAME nowhere x", "RENAME a z", "STATUS z/c (MESSAGES RECENT UNSEEN)",
    "STATUS nowhere (MESSAGES)", "SELECT nowhere", "EXAMINE Changes", "STORE 1 +FLAGS (\\Seen)",
    "SELECT Changes", "STORE 1:3 FLAGS (\\Seen)", "STORE 1 +FLAGS (\\Flagged other)",
    "STORE 1 -FLAGS (\\Seen)", "STORE 2 FLAGS.SILENT ()", "STORE 2 +FLAGS.SILENT (\\Draft)",
    "FETCH 1:3 FLAGS", "UID STORE 3 +FLAGS (third)", "STORE 1 FLAGS (\\Unknown)",
    "STORE 99999 +FLAGS (\\Seen)", "UID STORE 99999 +FLAGS (\\Seen)", "UID FETCH 99999 FLAGS",
    "FETCH 99999 FLAGS", "COPY 1:2 z", "COPY 1 nowhere", "UID COPY 99999 z", "COPY 99999 z",
    "STATUS z (MESSAGES UNSEEN)", "MOVE 3 z", "STORE 1 +FLAGS (\\Deleted)", "UID EXPUNGE 2",
    "NOOP", "CHECK", "DELETE z/c", "DELETE INBOX", "DELETE nowhere", "UNSELECT", "FETCH 1 FLAGS",
    "SELECT z", "SEARCH ALL", "CLOSE", "CLOSE", "LOGIN a b", "FROBNICATE",
]
# Untagged answers that are the server's own affair, and response codes that both should agree on.
OWN = {"OK", "FLAGS", "CAPABILITY"}
MADE = ("Archive", "Drafts", "Junk", "Sent", "Trash", b"INBOX", "INBOX")  # with a new account
CODES = {"TRYCREATE", "NONEXISTENT", "ALREADYEXISTS", "READ-ONLY", "READ-WRITE", "COPYUID",
         "APPENDUID", "CLOSED"}

# Who may differ, and why: (of FETCH) the item, a test of the two values; (else) the command.
FETCH_EXPLAINED = {
    # A part that is not there has no text, rather than an empty one. And a part that is neither
    # multipart nor a message has no parts, though Dovecot's 1.1 of it is itself.
    "absent part": lambda item, theirs, ours: "BODY[" in ours and ours["BODY["] is None,
    # Dovecot takes the blank line of an empty part for the line end of the boundary's line.
    "header of an empty part": lambda item, theirs, ours: (
        item == "BODY.PEEK[2.MIME]" and theirs["BODY["] == b"" and ours["BODY["] == b"\r\n"),
    # The end of a header is shown even where the message ends in the midst of it.
    "end of header": lambda item, theirs, ours: (
        item.startswith("BODY.PEEK[HEADER.FIELDS.NOT") and
        ours["BODY["] == theirs["BODY["] + b"\r\n"),
}
_CODES = "says why with a code (RFC 5530)"
MAILBOX_EXPLAINED = {
    "STATUS nowhere (MESSAGES)": _CODES,
    "SELECT nowhere": _CODES,
    "STORE 1 +FLAGS (\\Seen)": "a read-only mailbox refuses, rather than silently not doing it",
    "MOVE 3 z": "RECENT is told with EXISTS only",
}
SEARCH_EXPLAINED = {
    'SEARCH CHARSET UTF-8 BODY "x"': "the body is all after the header, with headers of parts and of "
                                     "attached messages (RFC 3501 6.4.4)",
    "SEARCH FROM example.org": "fields are searched as they are written: in one that ends too early, "
                               "and not in 'example . org'",
    "SEARCH SENTBEFORE 4-Nov-2026": "what has no Date was not sent before any",
    "SORT (SUBJECT) UTF-8 ALL": "of repeated fields the one counts that ENVELOPE shows",
    "SORT (REVERSE SUBJECT DATE) UTF-8 ALL": "as above",
    # RFC 5051 section 2: a letter is decomposed until nothing is left to be.
    **{f'SEARCH CHARSET UTF-8 {key} "{text}"': "the sign for Angstrom is decomposed once there"
       for key in ("SUBJECT", "TEXT") for text in ("Åland", "åland")},
}


def every_message():
    yield from corpus.messages()
    yield from structure_corpus.messages()


class BesideDovecotTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.dovecot = Dovecot(PASSWORD, settings="""
namespace inbox {
  inbox = yes
  separator = /
}
""")
        cls.addClassCleanup(cls.dovecot.stop)
        cls.dovecot.start()
        cls.platform = ServePlatform()
        cls.addClassCleanup(cls.platform.stop)
        cls.platform.start()
        cls.messages = [(name, raw) for name, raw in every_message()
                        if 0 < len(raw) < 100_000 and corpus.fits_smtp(raw)] + odd_letters()
        cls.wires, cls.ports = {}, {}
        for name, port in (("dovecot", cls.dovecot.imap_port),
                           ("posthorn", cls.platform.ports().listeners["imap"])):
            wire = cls.wires[name] = Wire(port)
            cls.addClassCleanup(wire.close)
            wire.ok(f"LOGIN {USER} {PASSWORD}")
            wire.ok("CREATE Corpus")
            wire.ok("CREATE Changes")
            for number, (_, raw) in enumerate(cls.messages[:5]):
                wire.ok(["APPEND Changes ", raw])
            for number, (_, raw) in enumerate(cls.messages):
                flags = " ".join(flag for bit, flag in enumerate(
                    ("\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "\\Draft", "custom"))
                    if number >> bit & 1)
                date = f"{number % 28 + 1:2d}-Oct-2026 10:11:12 +0200"
                wire.ok([f'APPEND Corpus ({flags}) "{date}" ', raw])
            wire.ok("SELECT Corpus")
            cls.ports[name] = port

    def both(self, command):
        return {name: wire.run(command) for name, wire in self.wires.items()}

    def unexplained(self, differences):
        """`differences`: (key, Dovecot's, Posthorn's)."""
        lines = [f"{key}\n  Dovecot:  {theirs!r}\n  Posthorn: {ours!r}"
                 for key, theirs, ours in differences]
        self.assertEqual("", "\n".join(lines), f"{len(lines)} differences")

    def test_fetch(self):
        found, used = [], set()
        for item in FETCHES:
            answers = {name: answer.fetched()
                       for name, answer in self.both(f"FETCH 1:* ({item})").items()}
            self.assertEqual(len(answers["dovecot"]), len(self.messages))
            for number, (name, _) in enumerate(self.messages, 1):
                theirs, ours = (normal(answers[server].get(number))
                                for server in ("dovecot", "posthorn"))
                if theirs == ours:
                    continue
                short = [{key[:5] if key.startswith("BODY[") else key: value
                          for key, value in (side or {}).items()} for side in (theirs, ours)]
                why = [name for name, may in FETCH_EXPLAINED.items() if may(item, *short)]
                used.update(why)
                if not why:
                    found.append(((name, item), theirs, ours))
        self.unexplained(found)
        self.assertEqual(used, set(FETCH_EXPLAINED), "explanations of what does not differ")

    def test_search_sort_thread(self):
        found, used = [], set()
        commands = ([f"SEARCH {keys}" for keys in SEARCHES] +
                    [f"SORT ({keys}) UTF-8 ALL" for keys in SORTS] +
                    [f"THREAD {algorithm} UTF-8 ALL" for algorithm in THREADS])
        for command in commands:
            answers = self.both(command)
            theirs, ours = ((answers[name].status, answers[name].named(command.split()[0]))
                            for name in ("dovecot", "posthorn"))
            if theirs == ours:
                continue
            used.add(command)
            if command not in SEARCH_EXPLAINED:
                found.append((command, theirs, ours))
        self.unexplained(found)
        self.assertEqual(used, set(SEARCH_EXPLAINED), "explanations of what does not differ")

    def test_that_changes_mailboxes(self):
        """Answers to what changes mailboxes, one after the other in both."""
        found, used = [], set()
        wires = {name: Wire(port) for name, port in self.ports.items()}
        for wire in wires.values():
            self.addCleanup(wire.close)
            wire.ok(f"LOGIN {USER} {PASSWORD}")
        for command in MAILBOX_COMMANDS:
            answers = {name: wire.run(command) for name, wire in wires.items()}
            theirs, ours = (changes(answers[name]) for name in ("dovecot", "posthorn"))
            if theirs == ours:
                continue
            used.add(command)
            if command not in MAILBOX_EXPLAINED:
                found.append((command, theirs, ours))
        self.unexplained(found)
        self.assertEqual(used, set(MAILBOX_EXPLAINED), "explanations of what does not differ")


def normal(items):
    """Without what means nothing: the case of names that have none, the order of items."""
    if items is None:
        return None
    return {key.upper(): text(value) for key, value in items.items()
            if key.upper() not in ("UID", "MODSEQ")}


def changes(answer):
    """Status, code without numbers that are the server's own, untagged answers without order."""
    code = answer.text.partition("]")[0].lstrip("[").split(" ")[0] if answer.text.startswith("[") \
        else ""
    untagged = [line for line in answer.untagged
                if line[0] not in OWN and not (line[0] in ("LIST", "LSUB") and line[-1] in MADE)]
    return (answer.status, code if code in CODES else "", sorted(untagged, key=repr))


def text(value):
    if isinstance(value, list):
        return [text(item) for item in value]
    return value


if __name__ == "__main__":
    unittest.main()
