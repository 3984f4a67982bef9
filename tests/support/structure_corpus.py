"""Messages whose structure and addresses are hard to read, for what IMAP servers say about them."""


def _text(*lines):
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n"


def _with_type(*content_type):
    """A message of nothing but this Content-Type and one line."""
    return _text("From: a@example.org", "Subject: type", "MIME-Version: 1.0", *content_type, "", "x")


def _addressed(*fields):
    return _text(*fields, "Subject: addresses", "", "x")


def messages():
    """(name, message) pairs, the same ones every time."""
    yield "alternative", _text(
        "From: Ann Other <ann@example.org>", "To: Bo <bo@example.org>, c@example.org",
        "Date: Tue, 03 Nov 2026 10:11:12 +0100", "Message-ID: <alt@example.org>",
        "In-Reply-To: <before@example.org>", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        "MIME-Version: 1.0", 'Content-Type: multipart/alternative; boundary="b1"', "",
        "preamble", "--b1", "Content-Type: text/plain; charset=utf-8", "", "Hello", "--b1",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable", "", "<b>Hel=6Co</b>", "--b1--", "epilogue")
    yield "attachment", _text(
        "From: a@example.org", "Subject: attachment", "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=b2", "", "--b2", "", "no type", "--b2",
        "Content-Type: application/pdf; name*=utf-8''%e2%82%ac%20rates.pdf",
        "Content-Disposition: attachment; filename*0=long; filename*1=-name.pdf; size=4",
        "Content-Transfer-Encoding: base64", "Content-ID: <part@example.org>",
        "Content-Description: =?utf-8?B?w6Q=?=", "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
        "Content-Language: de, en", "Content-Location: http://example.org/x", "", "JVBERg==",
        "--b2--")
    yield "message in a message", _text(
        "From: a@example.org", "Subject: outer", "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=b3", "", "--b3", "Content-Type: message/rfc822",
        "", "From: inner@example.org", "Subject: inner", "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=b4", "", "--b4", "", "deep", "--b4",
        "Content-Type: image/gif", "Content-Transfer-Encoding: base64", "", "R0lG", "--b4--",
        "--b3", "", "after", "--b3--")
    yield "only a message", _text(
        "From: a@example.org", "Subject: outer", "MIME-Version: 1.0",
        "Content-Type: message/rfc822", "", "From: inner@example.org", "Subject: inner", "", "body")
    yield "digest", _text(
        "Subject: digest", "MIME-Version: 1.0", "Content-Type: multipart/digest; boundary=d", "",
        "--d", "", "From: one@example.org", "Subject: one", "", "first", "--d",
        "Content-Type: text/plain", "", "not a message", "--d--")
    yield "boundary never closed", _text(
        "Subject: open", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=open", "",
        "--open", "", "first", "--open", "Content-Type: text/html", "", "second")
    yield "boundary never used", _text(
        "Subject: unused", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=unused",
        "", "just text")
    yield "inner boundary is a prefix", _text(
        "Subject: prefix", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=aa", "",
        "--aa", "Content-Type: multipart/mixed; boundary=aab", "", "--aab", "", "one", "--aab--",
        "--aa", "", "two", "--aa--")
    yield "outer boundary ends the inner", _text(
        "Subject: ends", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=o", "",
        "--o", "Content-Type: multipart/alternative; boundary=i", "", "--i", "", "one", "--o", "",
        "two", "--o--")
    yield "empty parts", _text(
        "Subject: empty", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=e", "",
        "--e", "--e", "", "--e", "Content-Type: text/html", "--e--")
    yield "blanks after the boundary", _text(
        "Subject: blanks", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=w", "",
        "--w  ", "", "one", "--w--  ")

    for number, content_type in enumerate((
            "Content-Type: text", "Content-Type: text/", "Content-Type: /plain", "Content-Type:",
            "Content-Type: ;charset=utf-8", "Content-Type: text/plain; charset",
            "Content-Type: text/plain; charset=", 'Content-Type: text/plain; charset="utf-8',
            "Content-Type: text/plain; =utf-8", "Content-Type: text / plain ; charset = utf-8",
            "Content-Type: text/plain (comment); charset=(x)utf-8",
            "Content-Type: TEXT/Plain; CharSet=UTF-8", "Content-Type: text/plain charset=utf-8",
            "Content-Type: text/plain; format=flowed; DelSp=yes",
            'Content-Type: text/plain; name="a\\"b\\\\c"', "Content-Type: multipart/mixed",
            'Content-Type: multipart/mixed; boundary=""', "Content-Type: application/x-unknown",
            "Content-Type: text/plain; charset=utf-8; charset=latin1")):
        yield f"type {number}: {content_type}", _with_type(content_type)
    yield "two types", _with_type("Content-Type: text/html", "Content-Type: image/png")
    yield "no MIME-Version", _text("Subject: no version", "Content-Type: text/html", "", "<p>")
    for number, encoding in enumerate(("base64", "BASE64", "x-unknown", "", "quoted-printable (c)",
                                       "7bit; x=y")):
        yield f"encoding {number}: {encoding}", _with_type(
            f"Content-Transfer-Encoding: {encoding}")
    for number, disposition in enumerate(("inline", "attachment; filename=", ";filename=x",
                                          'attachment; filename="a b"; filename="c"', "")):
        yield f"disposition {number}: {disposition}", _with_type(
            f"Content-Disposition: {disposition}")

    for number, fields in enumerate((
            ("From: Plain <plain@example.org>",), ("From: bare@example.org",),
            ("From: old@example.org (Old Style)",), ('From: "Quo\\"ted, Name" <q@example.org>',),
            ("From: =?iso-8859-1?q?J=F6rg?= <j@example.org>",), ("From: Jörg <j@example.org>",),
            ("From: <@route.example,@two.example:user@example.org>",),
            ('From: "quoted local"@example.org',), ("From: user@[192.0.2.1]",),
            ("From: a.b. c <x@example.org>",), ("From: Name <>",), ("From: Name",), ("From:",),
            ("From: <local>",), ("From: local",), ("From: a@b@c",), ("From: Name <x@example.org",),
            ("From: a@example.org, , b@example.org",), ("From: a@example.org; b@example.org",),
            ("To: Group: a@example.org, B <b@example.org>;",), ("To: undisclosed-recipients:;",),
            ("To: G1: a@example.org;, x@example.org, G2:;",), ("To: Open group: a@example.org",),
            ("From: one@example.org", "From: two@example.org"),
            ("To: one@example.org", "To: two@example.org"),
            ("From: a@example.org", "Sender: s@example.org", "Reply-To: r@example.org"),
            ("From: a@example.org", "Sender:", "Reply-To:"), ("Sender: s@example.org",),
            ("From: folded\r\n name\r\n\t<f@example.org>",),
            ("From: (only a comment)",), ("From: a (c1) b (c2) <x@example.org> (c3)",),
            ("From: user@exa(comment)mple.org",), ("From: user @ example . org",),
            ("From: Dotted. Name <d@example.org>",), ('From: "" <empty@example.org>',),
            ("From: a@example.org b@example.org",), ("From: very" + "long" * 80 + "@example.org",),
            ("Cc: c@example.org", "Bcc: b@example.org"))):
        yield f"address {number}: {fields[0][:40]}", _addressed(*fields)

    for number, fields in enumerate((
            ("Subject: two", "Subject: subjects"), ("Subject:",), ("Subject:   spaces   ",),
            ("Subject: folded\r\n  line",), ("Subject: tab\tinside",),
            ('Subject: with "quotes" and \\backslash',), ("Subject : space before colon",),
            ("Date: not a date",), ("Date: ",), ("Message-ID: no brackets",),
            ("Message-ID: <a@b> <c@d>",), ("In-Reply-To: text <a@b> more <c@d>",),
            ("In-Reply-To: ",), ("SUBJECT: case",))):
        yield f"field {number}: {fields[0][:40]}", _text(*fields, "", "x")
