"""Reads what lib/dsn composes with Python's email package: structure, fields, and no defects."""

import email
import email.policy
import subprocess
import sys


def check(condition, what):
    if not condition:
        sys.exit("failed: " + what)


def walk_defects(message):
    for part in message.walk():
        check(not part.defects, "%s has defects %r" % (part.get_content_type(), part.defects))


output = subprocess.run([sys.argv[1]], check=True, stdout=subprocess.PIPE).stdout
*notifications, rest = output.split(b"\0")
check(rest == b"", "the last ends too")
expected = (("failed", "5.1.1"), ("delayed", "4.2.0"), ("delivered", "2.0.0"),
            ("relayed", "2.0.0"), ("expanded", "2.0.0"))
check(len(notifications) == len(expected), "one notification of each kind")
for raw, (action, status) in zip(notifications, expected):
    message = email.message_from_bytes(raw, policy=email.policy.default)
    walk_defects(message)
    check(message.get_content_type() == "multipart/report", "type")
    check(message.get_param("report-type") == "delivery-status", "report-type")
    check(message["Auto-Submitted"] == "auto-replied", "Auto-Submitted")
    check(message["To"].addresses[0].addr_spec == "sender@example.org", "To")
    text, report, headers = message.get_payload()
    check("who@example.net" in text.get_content().lower(), "the text names the recipient")
    check("j\u00fcrgen@example.net" in text.get_content(), "in UTF-8")
    check(report.get_content_type() == "message/delivery-status", "report type")
    blocks = report.get_payload()
    check(len(blocks) == 3, "one block a message and a recipient")
    check(blocks[0]["Reporting-MTA"] == "dns; mail.example.org", "Reporting-MTA")
    check(blocks[0]["Original-Envelope-Id"] == "QQ314159", "Original-Envelope-Id")
    check(blocks[1]["Final-Recipient"] == "rfc822; who@example.net", "Final-Recipient")
    check(blocks[1]["Original-Recipient"] == "rfc822; WHO@example.net", "Original-Recipient")
    check(blocks[1]["Action"] == action, "Action")
    check(blocks[1]["Status"] == status, "Status")
    check(blocks[1]["Diagnostic-Code"].startswith("smtp; 550 5.1.1"), "Diagnostic-Code")
    check(blocks[2]["Final-Recipient"] == r"utf-8; j\x{FC}rgen@example.net", "UTF-8 recipient")
    check(("Will-Retry-Until" in blocks[1]) == (action == "delayed"), "Will-Retry-Until")
    if action == "failed":
        # RET=FULL; a header in UTF-8 makes it message/global (RFC 6533).
        check(headers.get_content_type() == "message/global", "the message")
        check(b"Subject: gr\xc3\xbc\xc3\x9fe\r\n folded\r\n\r\nbody\r\n" in raw, "whole")
        continue
    check(headers.get_content_type() == "text/rfc822-headers", "headers part")
    content = headers.get_payload(decode=True).decode("utf-8")
    check("Subject: gr\u00fc\u00dfe\r\n folded" in content, "the headers of the original")
    check("body" not in content, "and no body")
