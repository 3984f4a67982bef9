"""IMAP as it is on the wire, for tests that compare answers: commands go out as given, answers come
back as values. Atoms and numbers are str, quoted strings and literals bytes (the two are equal in
meaning), lists are lists and NIL is None."""

import re
import socket

_SPECIAL = re.compile(rb'[ ()"\r\n{]')


class Answer:
    """What one command brought: `status` ("OK", "NO", "BAD"), `text`, `untagged` values."""

    def __init__(self, status, text, untagged):
        self.status, self.text, self.untagged = status, text, untagged

    def fetched(self):
        """{sequence number: {item: value}} of FETCH answers."""
        found = {}
        for line in self.untagged:
            if len(line) == 3 and line[1] == "FETCH":
                items = line[2]
                found.setdefault(int(line[0]), {}).update(
                    {items[i]: items[i + 1] for i in range(0, len(items) - 1, 2)})
        return found

    def named(self, name):
        """The rest of the untagged answers of that name."""
        return [line[1:] for line in self.untagged if line and line[0] == name]


class Wire:
    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.file = self.open_file()
        self.greeting = self._line()
        self.tag = 0

    def open_file(self):
        return self.socket.makefile("rb")

    def untagged(self, values):
        """Called with each untagged answer as it comes."""

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, command):
        """`command`: text, or a list of text and of bytes, which go as literals."""
        self.tag += 1
        tag = f"t{self.tag}"
        parts = [command] if isinstance(command, str) else command
        self.socket.sendall(tag.encode() + b" ")
        untagged = []

        def answered():
            """The next line that is not untagged."""
            while (line := self._line()).startswith(b"* "):
                untagged.append(parse(line[2:]))
                self.untagged(untagged[-1])
            return line
        for part in parts:
            if isinstance(part, str):
                self.socket.sendall(part.encode())
                continue
            self.socket.sendall(b"{%d}\r\n" % len(part))
            line = answered()
            if not line.startswith(b"+"):
                raise RuntimeError(f"no literal wanted after {parts[0]!r}: {line!r}")
            self.socket.sendall(part)
        self.socket.sendall(b"\r\n")
        while True:
            line = answered()
            if line.startswith(tag.encode() + b" "):
                status, _, text = line[len(tag) + 1:].decode("utf-8", "replace").partition(" ")
                return Answer(status, text.rstrip("\r\n"), untagged)

    def ok(self, command):
        answer = self.run(command)
        if answer.status != "OK":
            raise RuntimeError(f"{command!r}: {answer.status} {answer.text}")
        return answer

    def _line(self):
        """A whole answer, with the literals in it."""
        whole = b""
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError("connection closed")
            whole += line
            literal = re.search(rb"\{(\d+)\}\r\n$", line)
            if literal is None:
                return whole
            whole += self.file.read(int(literal[1]))


def parse(data):
    """The values of one untagged answer, without its "* "."""
    # Texts meant for people are not made of atoms.
    status = re.match(rb"(OK|NO|BAD|BYE|PREAUTH) (.*)\r\n$", data, re.S)
    if status:
        return [status[1].decode(), status[2]]
    values, position = [], 0
    while position < len(data):
        if data[position:position + 1] in b" \r\n":
            position += 1
            continue
        value, position = _value(data, position)
        values.append(value)
    return values


def _value(data, position):
    first = data[position:position + 1]
    if first == b"(":
        items, position = [], position + 1
        while data[position:position + 1] != b")":
            if data[position:position + 1] == b" ":
                position += 1
                continue
            item, position = _value(data, position)
            items.append(item)
        return items, position + 1
    if first == b'"':
        out, position = b"", position + 1
        while data[position:position + 1] != b'"':
            if data[position:position + 1] == b"\\":
                position += 1
            out += data[position:position + 1]
            position += 1
        return out, position + 1
    literal = re.compile(rb"~?\{(\d+)\}\r\n").match(data, position)
    if literal:
        end = literal.end() + int(literal[1])
        return data[literal.end():end], end
    # An atom; BODY[HEADER.FIELDS (A B)]<0> is one as well.
    start = position
    while position < len(data) and not _SPECIAL.match(data, position):
        if data[position:position + 1] == b"[":
            position = data.index(b"]", position)
        position += 1
    if position == start:
        raise ValueError(f"not IMAP: {data[position:position + 40]!r}")
    atom = data[start:position].decode("utf-8", "replace")
    return (None if atom.upper() == "NIL" else atom), position
