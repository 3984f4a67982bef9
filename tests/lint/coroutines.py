"""Finds the expressions g++ 12 miscompiles (lib/base/task.h): an aggregate temporary or a capturing
lambda in one expression with co_await is destroyed twice. Regular expressions see no types, so an
aggregate counts as one when it is written with braces: `co_await Take(Request{...})`. Also found: a
lambda with captures that is itself a coroutine; its captures die with the lambda.
"""

import re

COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
CAPTURING_LAMBDA = re.compile(r"(?<![\w\])])\[(?!\])(?!\[)[^\]\n;]*\]\s*(?:\([^)]*\)|\{|mutable|noexcept|->)")
# Request{...}, ns::Request{...}; also a braced argument: Take({...}), Take(a, {...}). Empty braces as
# an argument are mostly an empty string or vector, which have constructors.
BRACED_TEMPORARY = re.compile(r"[\w>]\s*\{|[(,]\s*\{\s*[^\s}]")


def without_comments(text):
    """The same text with comments and literals blanked, line breaks kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return COMMENT_OR_STRING.sub(blank, text)


def expression_end(text, start):
    """Where the full expression that begins at `start` ends: `;`, or an unmatched bracket."""
    depth = 0
    for i in range(start, len(text)):
        c = text[i]
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth < 0:
                return i
        elif c == ";" and depth == 0:
            return i
    return len(text)


def matching_brace(text, start):
    depth = 0
    for i in range(start, len(text)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if depth == 0:
                return i
    return len(text)


def check_file(path, text):
    findings = []
    code = without_comments(text)

    def report(position, what):
        findings.append(f"{path}:{code.count(chr(10), 0, position) + 1}: {what}")

    for match in re.finditer(r"\bco_await\b", code):
        expression = code[match.end():expression_end(code, match.end())]
        if CAPTURING_LAMBDA.search(expression):
            report(match.start(), "a capturing lambda in a co_await expression: name it first")
        elif BRACED_TEMPORARY.search(expression):
            report(match.start(), "a braced temporary in a co_await expression: name it first")

    for match in CAPTURING_LAMBDA.finditer(code):
        begin = code.find("{", match.start())
        stop = code.find(";", match.start())
        if begin < 0 or (0 <= stop < begin):
            continue
        body = code[begin:matching_brace(code, begin)]
        # Coroutines inside of nested lambdas are theirs.
        while True:
            inner = CAPTURING_LAMBDA.search(body, 1) or re.search(r"\[\]\s*\([^)]*\)[^;{]*\{", body)
            if not inner:
                break
            inner_begin = body.find("{", inner.start())
            if inner_begin < 0:
                break
            end = matching_brace(body, inner_begin)
            body = body[:inner.start()] + " " * 3 + body[end + 1:]
        if re.search(r"\bco_(await|return|yield)\b", body):
            report(match.start(), "a capturing lambda that is a coroutine")
    return findings
