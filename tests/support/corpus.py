"""Odd messages: what is stored or relayed must come back byte by byte.

messages() yields (name, bytes). fits_smtp(raw) says which of them DATA can carry (RFC 5321: lines end
in CRLF, no bare CR or LF, no NUL), a final line end apart, which DATA adds. All of them can go in by
APPEND.
"""

import random


def messages():
    """(name, message) pairs, the same ones every time."""
    for name, raw in _by_smtp():
        yield name, raw
    for name, raw in _by_append_only():
        yield name, raw


def fits_smtp(raw):
    """Can DATA carry these octets as they are (but for a missing final CRLF)?"""
    if b"\0" in raw:
        return False
    rest = raw.replace(b"\r\n", b"")
    return b"\r" not in rest and b"\n" not in rest


def nested_parts(depth):
    """A text part inside `depth` multiparts."""
    out = b"Subject: nested\r\nMIME-Version: 1.0\r\n"
    for level in range(depth):
        boundary = b"=_level_%d_" % level
        out += (b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n'
                b"--" + boundary + b"\r\n")
    out += b"Content-Type: text/plain\r\n\r\ninnermost\r\n"
    for level in reversed(range(depth)):
        out += b"--=_level_%d_--\r\n" % level
    return out


def _header(subject):
    return (b"From: Sender <sender@elsewhere.example>\r\nTo: <someone@example.test>\r\n"
            b"Subject: " + subject + b"\r\nMessage-ID: <" + subject.replace(b" ", b"-") +
            b"@corpus.example>\r\n")


def _by_smtp():
    yield "plain", _header(b"plain") + b"\r\nHello\r\n"
    yield "only a subject", b"Subject: only this\r\n"
    yield "header without blank line", _header(b"no blank line")
    yield "no header", b"\r\njust a body\r\n"
    yield "one blank line", b"\r\n"
    yield "empty body", _header(b"empty body") + b"\r\n"
    yield "dots", (_header(b"dots") + b"\r\n.\r\n..\r\n...\r\n.leading\r\n..two\r\n. \r\nx.\r\n"
                   b".\r\n")
    yield "line that is no field", _header(b"garbage") + b"this is no field\r\nX-After: 1\r\n\r\nx\r\n"
    yield "8-bit body", _header(b"eight") + b"\r\nGr\xfc\xdfe, na\xc3\xafve, \xff\xfe\x80\r\n"
    yield "8-bit header", _header(b"Gr\xc3\xbc\xc3\x9fe raw \xe4") + b"\r\nx\r\n"
    yield "every octet above 31", (_header(b"octets") + b"\r\n" +
                                   b"".join(bytes([c]) for c in range(32, 256)) + b"\r\n")
    yield "control characters", (_header(b"controls") + b"\r\n" +
                                 bytes(c for c in range(1, 32) if c not in (10, 13)) + b"\r\n")
    yield "line of 998 octets", _header(b"998") + b"\r\n" + b"a" * 998 + b"\r\n"
    yield "line of 999 octets", _header(b"999") + b"\r\n" + b"a" * 999 + b"\r\n"
    yield "line of 70000 octets", _header(b"70000") + b"\r\n" + b"b" * 70000 + b"\r\nafter\r\n"
    yield "long header line", _header(b"long header") + b"X-Long: " + b"h" * 5000 + b"\r\n\r\nx\r\n"
    yield "many folds", (_header(b"folds") + b"X-Folded: a\r\n" + b" b\r\n\tc\r\n" * 200 +
                         b"\r\nx\r\n")
    yield "white space", _header(b"space") + b"\r\n  leading\r\ntrailing  \r\n\t\r\n \r\n\r\n\r\n"
    yield "multipart", _header(b"multipart") + (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\none\r\n"
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=\"a b.bin\"\r\n\r\nAAECAwQF\r\n"
        b"--b--\r\nepilogue\r\n")
    yield "missing end boundary", _header(b"no end") + (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>two\r\n")
    yield "boundary that never comes", _header(b"no boundary") + (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=never\r\n\r\n--b\r\n\r\nx\r\n")
    yield "multipart without boundary", _header(b"no parameter") + (
        b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n")
    yield "broken content type", _header(b"broken type") + (
        b"MIME-Version: 1.0\r\nContent-Type: text plain; ;;= \"\r\n"
        b"Content-Transfer-Encoding: bogus\r\n\r\nx\r\n")
    yield "attached message", _header(b"attached") + (
        b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Subject: inner\r\nFrom: <a@b.example>\r\n\r\n.inner body\r\n")
    yield "50 nested parts", nested_parts(50)
    yield "broken addresses", (b"From: <<broken\r\nTo: \"unfinished\r\nCc: group: a@b, ;\r\n"
                               b"Subject: broken addresses\r\n\r\nx\r\n")
    yield "repeated fields", b"Subject: a\r\nsubject: b\r\nFrom: a@b\r\nFrom: c@d\r\n\r\nx\r\n"
    yield "looks like SMTP", _header(b"smtp") + b"\r\n250 ok\r\nQUIT\r\n. \r\nMAIL FROM:<x@y>\r\n"
    yield "70 KB", _header(b"70 KB") + b"\r\n" + _lines(70 * 1024, 1)
    yield "400 KB", _header(b"400 KB") + b"\r\n" + _lines(400 * 1024, 2)


def _by_append_only():
    yield "no final line end", _header(b"no line end") + b"\r\nthe end"
    yield "multipart without final line end", _header(b"end of multipart") + (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--")
    yield "header without line end", b"Subject: cut"
    yield "line feeds", b"Subject: line feeds\n\nfirst\n.dot\n\nlast\n"
    yield "mixed line ends", b"Subject: mixed\r\nX: y\n\r\none\ntwo\r\nthree\r\r\nfour\n\r\n"
    yield "bare CR", _header(b"bare CR") + b"\r\na\rb\r\r\nc\r"
    yield "NUL", _header(b"NUL") + b"\r\na\0b\0\0c\r\n"
    yield "empty", b""


def _lines(size, seed):
    """About `size` octets of lines, some of them starting with a dot."""
    source = random.Random(seed)
    alphabet = b"abcdefghijklmnopqrstuvwxyz .,0123456789"
    out = bytearray()
    while len(out) < size:
        out += b"." * source.randrange(0, 2)
        out += bytes(source.choice(alphabet) for _ in range(source.randrange(0, 100)))
        out += b"\r\n"
    return bytes(out)
