"""IMAP extensions on the real store: imaplib where it has the command, else typed by hand."""

import base64
import re
import time
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
        d.send(wire + b"\r\n")
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

    def test_compares_by_unicode_casemap(self):
        d = self.dialogue("bob")
        self.ok(d, "CREATE letters")
        self.append(d, "letters", message("=?utf-8?q?Stra=C3=9Fe?=", "<s1@x>"),
                    message("=?utf-8?q?M=C3=BCller?=", "<s2@x>"), message("MUELLER", "<s3@x>"))
        c = self.platform.imap("bob@example.test")
        self.addCleanup(c.logout)
        announced = c.capability()[1][0].split()
        self.assertIn(b"I18NLEVEL=1", announced)
        self.assertIn(b"MESSAGELIMIT=1000000", announced)
        c.select("letters")
        for text, answer in (("stra\u00dfe", b"1"), ("strasse", b""), ("M\u00dcL", b"2"),
                             ("mu", b"2 3"), ("muller", b"")):
            c.literal = text.encode()
            self.assertEqual(c.search("UTF-8", "SUBJECT"), ("OK", [answer]), text)
        self.assertEqual(c.uid("SEARCH", "UIDAFTER", "1", "UIDBEFORE", "3"), ("OK", [b"2"]))

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

    def fetched(self, lines):
        """The items of each FETCH response, by UID where it is among them, else by number."""
        found = {}
        for line in lines:
            match = re.match(r"\* (\d+) (?:UID)?FETCH \((.*)\)$", line)
            if match:
                uid = re.search(r"\bUID (\d+)", match[2])
                found[int(uid[1] if uid else match[1])] = match[2]
        return found

    def test_ids_threads_and_save_dates_follow_a_message(self):
        d = self.dialogue()
        created = self.ok(d, "CREATE ids")[-1]
        mailbox_id = re.search(r"\[MAILBOXID \((\S+)\)\]", created)[1]
        self.ok(d, "CREATE ids2")
        self.append(d, "ids", message("Plan", "<p@x>"), message("Re: plan", "<r@x>", "<p@x>"),
                    message("Other", "<o@x>", "<p@x>"))
        lines = self.ok(d, "SELECT ids")
        self.assertTrue(any(f"[MAILBOXID ({mailbox_id})]" in line for line in lines), lines)
        self.assertIn(f"MAILBOXID ({mailbox_id})", self.ok(d, "STATUS ids (MAILBOXID)")[0])
        items = self.fetched(self.ok(d, "FETCH 1:3 (EMAILID THREADID SAVEDATE)"))
        email = {n: re.search(r"EMAILID \((\S+)\)", text)[1] for n, text in items.items()}
        thread = {n: re.search(r"THREADID \((\S+)\)", text)[1] for n, text in items.items()}
        self.assertEqual(len(set(email.values())), 3)
        self.assertEqual(thread[1], thread[2])
        self.assertNotEqual(thread[1], thread[3])
        self.assertEqual(self.ok(d, f"SEARCH THREADID {thread[1]}")[0], "* SEARCH 1 2")
        self.assertEqual(self.ok(d, f"SEARCH OR EMAILID {email[3]} SUBJECT re")[0], "* SEARCH 2 3")
        today = time.strftime("%d-%b-%Y", time.gmtime(time.time() - 86400))
        self.assertEqual(self.ok(d, f"SEARCH SAVEDSINCE {today}")[0], "* SEARCH 1 2 3")
        self.assertEqual(self.ok(d, f"SEARCH SAVEDBEFORE {today}")[0], "* SEARCH")
        self.assertIn('SAVEDATE "', items[1])
        self.ok(d, "MOVE 2 ids2")
        self.ok(d, "SELECT ids2")
        moved = self.fetched(self.ok(d, "FETCH 1 (EMAILID THREADID)"))[1]
        self.assertEqual(moved, f"EMAILID ({email[2]}) THREADID ({thread[1]})")

    def test_previews_are_made_once(self):
        d = self.dialogue()
        self.ok(d, "CREATE previews")
        large = message("big", body="z" * 200000)
        html = (b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
                b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                b"<style>p{}</style><p>Gr=C3=BC=C3=9Fe</p><p>an &amp; alle</p>\r\n")
        self.append(d, "previews", message("a", body="Hello\r\n  world"), html, large)
        self.ok(d, "SELECT previews")
        self.assertIn("PREVIEW NIL", self.ok(d, "FETCH 1 (PREVIEW (LAZY))")[0])
        text = "\n".join(self.ok(d, "FETCH 1:3 PREVIEW"))
        self.assertIn('PREVIEW "Hello world"', text)
        self.assertIn("Gr\u00fc\u00dfe an & alle", text)
        self.assertIn("z" * 200, text)
        self.assertNotIn("z" * 201, text)
        other = self.dialogue()
        self.ok(other, "EXAMINE previews")
        self.assertIn('PREVIEW "Hello world"', self.ok(other, "FETCH 1 (PREVIEW (LAZY))")[0])

    def test_quota_by_octets_and_messages(self):
        self.platform.add_account("quota@example.test", "quota-secret")
        d = self.dialogue("quota")
        self.assertEqual(self.ok(d, "GETQUOTAROOT INBOX")[0], "* QUOTAROOT INBOX")
        self.assertIn("[NONEXISTENT]", d.run('GETQUOTA ""')[-1])
        self.platform.ctl("account", "set", "quota@example.test", "--quota", "10240",
                          "--quota-messages", "3")
        small = message("a")
        self.append(d, "INBOX", small)
        self.assertEqual(self.ok(d, "GETQUOTAROOT INBOX")[:2],
                         ['* QUOTAROOT INBOX ""', '* QUOTA "" (STORAGE 1 10 MESSAGE 1 3)'])
        self.assertIn("[OVERQUOTA]", self.append(d, "INBOX", message("b", body="x" * 11000)))
        self.ok(d, "SELECT INBOX")
        self.ok(d, "COPY 1 Sent")
        self.assertIn("[OVERQUOTA]", self.append(d, "INBOX", small, small))
        self.assertRegex(self.append(d, "INBOX", small), r" OK ")
        self.assertIn("[OVERQUOTA]", self.append(d, "INBOX", small))
        self.assertIn("[OVERQUOTA]", d.run("COPY 1 Sent")[-1])
        self.ok(d, "MOVE 1 Sent")
        self.ok(d, "STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(self.ok(d, "STATUS INBOX (DELETED DELETED-STORAGE)")[0],
                         f"* STATUS INBOX (DELETED 1 DELETED-STORAGE {len(small)})")
        self.assertIn("* STATUS INBOX (DELETED 1)",
                      self.ok(d, 'LIST "" INBOX RETURN (STATUS (DELETED))'))
        self.ok(d, "EXPUNGE")
        self.assertIn("MESSAGE 2 3", self.ok(d, 'GETQUOTA ""')[0])
        self.assertIn("[NOPERM]", d.run('SETQUOTA "" (STORAGE 99999)')[-1])

    def test_binary_decodes_small_and_large_parts(self):
        d = self.dialogue()
        self.ok(d, "CREATE binary")
        content = bytes(range(256)) * 2000
        encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
        text = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                b"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=\r\nn\r\n"
                b"--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
                encoded + b"\r\n--b--\r\n")
        self.append(d, "binary", text)
        self.ok(d, "SELECT binary")
        self.assertIn(f"BINARY.SIZE[1] 4 BINARY.SIZE[2] {len(content)}",
                      self.ok(d, "FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2])")[0])
        for item, offset, count in (("BINARY.PEEK[2]", 0, len(content)),
                                    ("BINARY.PEEK[2]<100001.70000>", 100001, 70000)):
            tag = d.start(f"FETCH 1 {item}")
            head = d.line()
            self.assertTrue(head.endswith("~{%d}" % count), head)
            self.assertTrue(d.file.read(count) == content[offset:offset + count], item)
            self.assertEqual(d.line(), ")")
            self.assertIn(" OK ", d.finish(tag)[-1])

    def test_replace_is_one_change(self):
        self.platform.add_account("draft@example.test", "draft-secret")
        self.platform.ctl("account", "set", "draft@example.test", "--quota-messages", "1")
        d, other = self.dialogue("draft"), self.dialogue("draft")
        self.append(d, "Drafts", message("first"))
        self.ok(d, "SELECT Drafts")
        self.ok(other, "SELECT Drafts")
        second = message("second", body="x" * 100000)  # too large for one call
        d.count += 1
        tag = f"t{d.count}"
        d.socket.sendall(b"%s UID REPLACE 1 Drafts (\\Draft) {%d+}\r\n%s\r\n"
                         % (tag.encode(), len(second), second))
        lines = d.finish(tag)
        self.assertRegex(lines[0], r"^\* OK \[APPENDUID \d+ 2\]")
        self.assertIn("* 1 EXPUNGE", lines)
        self.assertRegex(lines[-1], f"^{tag} OK ")
        self.assertIn("* 1 EXPUNGE", self.ok(other, "NOOP"))
        self.assertEqual(self.platform.messages("draft@example.test", "Drafts"), [second])
        d.count += 1
        tag = f"t{d.count}"
        d.socket.sendall(b"%s UID REPLACE 1 Drafts {2+}\r\nzz\r\n" % tag.encode())
        self.assertIn(" NO ", d.finish(tag)[-1])
        self.assertEqual(self.platform.messages("draft@example.test", "Drafts"), [second])

    def test_names_in_utf8_and_in_modified_utf7_are_the_same(self):
        d, other = self.dialogue(), self.dialogue()
        self.ok(other, "CREATE &BB8EQAQ4BDIENQRC-/x")
        self.ok(d, "ENABLE UTF8=ACCEPT")
        self.assertIn('* LIST (\\HasNoChildren) "/" "\u041f\u0440\u0438\u0432\u0435\u0442/x"',
                      self.ok(d, 'LIST "" "\u041f*"'))
        self.ok(d, 'CREATE "\u65e5\u672c & \u8a9e"')
        self.assertIn('* LIST (\\HasNoChildren) "/" "&ZeVnLA- &- &ip4-"',
                      self.ok(other, 'LIST "" "&ZeVnLA-*"'))
        text = "Subject: \u00fc\r\n\r\n\u00fc\r\n".encode()
        d.count += 1
        tag = f"t{d.count}"
        d.socket.sendall(tag.encode() + ' APPEND "\u65e5\u672c & \u8a9e" UTF8 (~{%d+}\r\n'.encode()
                         % len(text) + text + b")\r\n")
        self.assertIn(" OK [APPENDUID ", d.finish(tag)[-1])
        self.ok(d, 'SELECT "\u65e5\u672c & \u8a9e"')
        self.assertEqual(self.ok(d, 'SEARCH SUBJECT "\u00dc"')[0], "* SEARCH 1")

    def test_compressed_session(self):
        d = self.dialogue()
        self.ok(d, "CREATE packed")
        text = message("packed", body="line of text\r\n" * 20000)
        self.append(d, "packed", text)
        self.ok(d, "COMPRESS DEFLATE")
        d.compress()
        self.ok(d, "SELECT packed")
        before = d.file.received
        tag = d.start("FETCH 1 BODY.PEEK[]")
        self.assertIn("{%d}" % len(text), d.line())
        self.assertEqual(d.file.read(len(text)), text)
        self.assertEqual(d.line(), ")")
        d.finish(tag)
        self.assertLess(d.file.received - before, len(text) // 20)
        tag = d.start("IDLE")
        self.assertEqual(d.line(), "+ idling")
        other = self.dialogue()
        self.append(other, "packed", message("news"))
        self.assertEqual(d.line(), "* 2 EXISTS")
        d.send(b"DONE\r\n")
        self.assertIn(" OK ", d.finish(tag)[-1])
        self.assertIn("[COMPRESSIONACTIVE]", d.run("COMPRESS DEFLATE")[-1])
        self.append(d, "packed", message("sent packed", body="z" * 100000))
        self.assertEqual(len(self.platform.messages("alice@example.test", "packed")), 3)

    def test_resynchronising_after_changes_elsewhere(self):
        d, other = self.dialogue(), self.dialogue()
        self.ok(d, "CREATE resync")
        self.append(d, "resync", *[message(f"m{i}") for i in range(6)])
        self.ok(other, "SELECT resync")
        self.assertIn("BAD", d.run("SELECT resync (QRESYNC (1 1))")[-1])
        self.ok(d, "ENABLE QRESYNC")
        text = "\n".join(self.ok(d, "SELECT resync"))
        validity = re.search(r"UIDVALIDITY (\d+)", text)[1]
        modseq = re.search(r"HIGHESTMODSEQ (\d+)", text)[1]
        self.ok(d, "UNSELECT")
        self.ok(other, "STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        self.ok(other, "EXPUNGE")
        self.ok(other, "UID STORE 3 +FLAGS (\\Flagged)")
        self.append(other, "resync", message("m6"))
        lines = self.ok(d, f"SELECT resync (QRESYNC ({validity} {modseq} 1:6))")
        self.assertIn("* VANISHED (EARLIER) 2,4", lines)
        self.assertEqual(sorted(self.fetched(lines)), [3])
        lines = self.ok(d, f"SELECT resync (QRESYNC ({validity} {modseq}))")
        self.assertIn("* VANISHED (EARLIER) 2,4", lines)
        self.assertEqual(sorted(self.fetched(lines)), [3, 7])
        newest = re.search(r"HIGHESTMODSEQ (\d+)", "\n".join(lines))[1]
        lines = self.ok(d, f"SELECT resync (QRESYNC ({validity} {newest}))")
        self.assertFalse(any("VANISHED" in line or "FETCH" in line for line in lines), lines)
        # News of a selected mailbox tell UIDs; what it expunges itself comes with the MODSEQ.
        self.ok(other, "UID STORE 5 +FLAGS.SILENT (\\Deleted)")
        self.ok(other, "EXPUNGE")
        self.assertIn("* VANISHED 5", self.ok(d, "NOOP"))
        self.ok(d, "UID STORE 6 +FLAGS.SILENT (\\Deleted)")
        lines = self.ok(d, "UID EXPUNGE 6")
        self.assertIn("* VANISHED 6", lines)
        last = int(re.search(r"\[HIGHESTMODSEQ (\d+)\]", lines[-1])[1])
        lines = self.ok(d, f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
        self.assertIn("* VANISHED (EARLIER) 2,4:6", lines)
        self.assertEqual(sorted(self.fetched(lines)), [3, 7])
        # Another mailbox of that name has another UIDVALIDITY: nothing of the old one is told.
        self.ok(other, "UNSELECT")
        self.ok(d, "UNSELECT")
        self.ok(other, "DELETE resync")
        self.ok(other, "CREATE resync")
        lines = self.ok(d, f"SELECT resync (QRESYNC ({validity} {last}))")
        self.assertFalse(any("VANISHED" in line for line in lines), lines)

    def test_without_sequence_numbers(self):
        d, other = self.dialogue(), self.dialogue()
        self.ok(d, "CREATE uidonly")
        self.append(d, "uidonly", *[message(f"m{i}") for i in range(3)])
        self.ok(other, "SELECT uidonly")
        self.ok(other, "STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.ok(other, "EXPUNGE")
        self.ok(d, "ENABLE UIDONLY")
        self.ok(d, "SELECT uidonly")
        self.assertIn("BAD [UIDREQUIRED]", d.run("FETCH 1 FLAGS")[-1])
        self.assertRegex(self.ok(d, "UID FETCH 3 (RFC822.SIZE)")[0], r"^\* 3 UIDFETCH \(RFC822.SIZE \d+\)$")
        self.ok(other, "UID STORE 2 +FLAGS (\\Deleted)")
        self.assertEqual(self.ok(d, "NOOP")[0], "* 2 UIDFETCH (FLAGS (\\Deleted))")
        self.ok(other, "EXPUNGE")
        self.assertIn("* VANISHED 2", self.ok(d, "NOOP"))

    def test_revision_2(self):
        d = self.dialogue()
        self.assertRegex(d.greeting, r"IMAP4rev1 IMAP4rev2")
        self.ok(d, "ENABLE IMAP4rev2")
        self.ok(d, 'CREATE "\u0444"')
        self.append(d, '"\u0444"', message("a"), message("b"))
        lines = self.ok(d, 'SELECT "\u0444"')
        self.assertIn('* LIST () "/" "\u0444"', lines)
        self.assertFalse(any("RECENT" in line or "UNSEEN" in line for line in lines), lines)
        self.assertRegex(self.ok(d, "SEARCH SUBJECT b")[0], r'^\* ESEARCH \(TAG "t\d+"\) ALL 2$')
        self.assertEqual(self.ok(d, "FETCH 1 FLAGS")[0], "* 1 FETCH (FLAGS ())")
        self.assertIn("[CLOSED]", self.ok(d, "SELECT INBOX")[0])
        self.assertEqual(self.ok(d, 'STATUS "\u0444" (MESSAGES DELETED SIZE)')[0],
                         f'* STATUS "\u0444" (MESSAGES 2 DELETED 0 SIZE {2 * len(message("a"))})')

    def test_unauthenticate_and_log_in_as_somebody_else(self):
        d = self.dialogue()
        self.ok(d, "CREATE only-alice")
        self.ok(d, "UNAUTHENTICATE")
        self.assertIn(" BAD ", d.run("SELECT INBOX")[-1])
        self.ok(d, "LOGIN bob@example.test bob-secret")
        self.assertIn("[NONEXISTENT]", d.run("SELECT only-alice")[-1])


if __name__ == "__main__":
    unittest.main()
