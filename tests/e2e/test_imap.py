"""IMAP extensions on the real store: imaplib where it has the command, else typed by hand."""

import unittest

from tests.e2e.test_clients import ImapDialogue
from tests.support.platform import ServePlatform


def message(subject, message_id="", references="", date="Tue, 14 Nov 2023 12:00:00 +0000",
            sender="ann@a.example", body="text"):
    lines = [f"From: {sender}", f"Subject: {subject}", f"Date: {date}"]
    if message_id:
        lines.append(f"Message-ID: {message_id}")
    if references:
        lines.append(f"References: {references}")
    return ("\r\n".join(lines) + f"\r\n\r\n{body}\r\n").encode("utf-8")


class ImapTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = ServePlatform().start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()

    def dialogue(self, login="alice"):
        d = ImapDialogue(self.platform.ports().listeners["imap"])
        self.addCleanup(d.close)
        self.assertIn(" OK ", d.run(f"LOGIN {login}@example.test {login}-secret")[-1])
        return d

    def ok(self, d, command):
        lines = d.run(command)
        self.assertRegex(lines[-1], r"^t\d+ OK ", command)
        return lines

    def append(self, d, mailbox, *messages):
        d.count += 1
        tag = f"t{d.count}"
        wire = f"{tag} APPEND {mailbox}".encode()
        for text in messages:
            wire += b" {%d+}\r\n" % len(text) + text
        d.socket.sendall(wire + b"\r\n")
        return d.finish(tag)[-1]

    def test_tree_with_options_counts_and_deleted_parents(self):
        d = self.dialogue()
        self.ok(d, "CREATE tree/a/b")
        self.append(d, "tree/a/b", message("x"))
        self.ok(d, "SUBSCRIBE tree/a/b")
        self.assertEqual(
            self.ok(d, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" tree')[:-1],
            ['* LIST (\\HasChildren) "/" tree ("CHILDINFO" ("SUBSCRIBED"))'])
        self.assertEqual(
            self.ok(d, 'LIST "" tree/a/* RETURN (SUBSCRIBED STATUS (MESSAGES SIZE))')[:-1],
            ['* LIST (\\Subscribed \\HasNoChildren) "/" tree/a/b',
             f'* STATUS tree/a/b (MESSAGES 1 SIZE {len(message("x"))})'])
        self.ok(d, "DELETE tree/a")
        self.assertEqual(self.ok(d, 'LIST "" tree/%')[:-1],
                         ['* LIST (\\Noselect \\HasChildren) "/" tree/a'])
        self.assertIn("[HASCHILDREN]", d.run("DELETE tree/a")[-1])
        self.ok(d, "RENAME tree/a tree/z")
        self.assertEqual(self.ok(d, "STATUS tree/z/b (MESSAGES)")[0],
                         "* STATUS tree/z/b (MESSAGES 1)")

    def test_several_messages_in_one_append(self):
        d = self.dialogue()
        self.ok(d, "CREATE several")
        texts = [message(f"m{i}", body="x" * 30000) for i in range(5)]
        self.assertRegex(self.append(d, "several", *texts), r"OK \[APPENDUID \d+ 1:5\]")
        self.assertRegex(self.append(d, "several", message("y"), b""), r"NO \[CLIENTBUG\]")
        self.assertEqual(self.platform.messages("alice@example.test", "several"), texts)

    def test_sort_and_thread_with_imaplib(self):
        d = self.dialogue("bob")
        self.ok(d, "CREATE sorted")
        self.append(d, "sorted",
                    message("Re: =?koi8-r?q?=F7=C5=D3=D4=D8?=", "<b@x>", "<a@x>",
                            "Tue, 14 Nov 2023 13:00:00 +0000", body="z" * 500),
                    message("=?utf-8?b?0JLQtdGB0YLRjA==?=", "<a@x>"),
                    message("apples", "<c@x>", "", "Tue, 14 Nov 2023 11:00:00 +0000", "zoe@x"))
        c = self.platform.imap("bob@example.test")
        self.addCleanup(c.logout)
        c.select("sorted")
        for order, answer in (("(SUBJECT DATE)", b"3 2 1"), ("(REVERSE SIZE)", b"1 2 3"),
                              ("(FROM REVERSE DATE)", b"1 2 3"), ("(DATE)", b"3 2 1")):
            self.assertEqual(c.sort(order, "UTF-8", "ALL"), ("OK", [answer]), order)
        self.assertEqual(c.thread("REFERENCES", "UTF-8", "ALL"), ("OK", [b"(3)(2 1)"]))
        self.assertEqual(c.thread("ORDEREDSUBJECT", "UTF-8", "ALL"), ("OK", [b"(3)(2 1)"]))
        c.literal = "весть".encode("koi8-r")
        self.assertEqual(c.search("KOI8-R", "SUBJECT"), ("OK", [b"1 2"]))

    def test_saved_and_partial_results(self):
        d = self.dialogue()
        self.ok(d, "CREATE found")
        self.append(d, "found", *[message(f"m{i}") for i in range(6)])
        self.ok(d, "SELECT found")
        self.ok(d, "SEARCH RETURN (SAVE) SUBJECT m NOT SUBJECT m2")
        lines = self.ok(d, "UID SEARCH RETURN (COUNT PARTIAL -1:-2) $")
        self.assertRegex(lines[0], r'^\* ESEARCH \(TAG "t\d+"\) UID COUNT 5 PARTIAL \(-1:-2 5:6\)$')
        self.ok(d, "STORE $ +FLAGS.SILENT (\\Deleted)")
        self.ok(d, "EXPUNGE")
        self.assertEqual(self.ok(d, "FETCH 1:* UID")[0], "* 1 FETCH (UID 3)")

    def test_conditional_store_between_two_sessions(self):
        first, second = self.dialogue(), self.dialogue()
        self.ok(first, "CREATE seq")
        self.append(first, "seq", message("one"), message("two"))
        self.ok(first, "SELECT seq (CONDSTORE)")
        lines = self.ok(second, "SELECT seq (CONDSTORE)")
        highest = next(line.split()[3].rstrip("]") for line in lines if "HIGHESTMODSEQ" in line)
        self.ok(first, "STORE 1 +FLAGS (\\Flagged)")
        lines = second.run(f"STORE 1:2 (UNCHANGEDSINCE {highest}) +FLAGS (\\Seen)")
        self.assertRegex(lines[-1], r"OK \[MODIFIED 1\]")
        self.assertRegex("\n".join(lines), r"\* 2 FETCH \(MODSEQ \(\d+\) FLAGS \(\\Seen")
        self.assertRegex("\n".join(lines), r"\* 1 FETCH \(MODSEQ \(\d+\) FLAGS \(\\Flagged")
        lines = self.ok(second, f"FETCH 1:* UID (CHANGEDSINCE {highest})")
        self.assertEqual(len(lines), 3)

    def test_unauthenticate_and_log_in_as_somebody_else(self):
        d = self.dialogue()
        self.ok(d, "CREATE only-alice")
        self.ok(d, "UNAUTHENTICATE")
        self.assertIn(" BAD ", d.run("SELECT INBOX")[-1])
        self.ok(d, "LOGIN bob@example.test bob-secret")
        self.assertIn("[NONEXISTENT]", d.run("SELECT only-alice")[-1])


if __name__ == "__main__":
    unittest.main()
