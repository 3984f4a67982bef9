"""Checks that includes point down only (ARCHITECTURE.md): a list of findings, empty when clean.

    apps -> services -> lib/{net,dns,rpc,postgres,redis,telemetry,config,maildrop}
         -> lib/{smtp,imap,pop3,mime,dsn,tlsrpt} -> lib/base
"""

import re
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.MULTILINE)

# Lower numbers may not include higher ones.
LEVELS = {"base": 0,
          "smtp": 1, "imap": 1, "pop3": 1, "mime": 1, "dsn": 1, "tlsrpt": 1, "mailauth": 1,
          "telemetry": 2,
          "net": 3, "dns": 3, "redis": 3, "postgres": 3, "rpc": 3, "config": 3, "sasl": 3, "maildrop": 3}
PURE_LEVEL = 1

# Third-party headers by the folders that may include them.
ROOMS = [
    (re.compile(r"^boost/(asio|beast)"), ["lib/net/", "lib/telemetry/"]),
    (re.compile(r"^(pqxx/|postgresql/|libpq)"),
     ["lib/postgres/", "services/mailbox/", "services/queue/", "tests/", "apps/posthorn/"]),
    (re.compile(r"^hiredis/"), ["lib/redis/"]),
    (re.compile(r"^unbound"), ["lib/dns/"]),
    (re.compile(r"^spdlog/"), ["lib/telemetry/"]),
    (re.compile(r"^prometheus/"), ["lib/telemetry/"]),
    (re.compile(r"^unicode/"), ["lib/mime/"]),
]
GENERATED = re.compile(r"\.pb\.h$")
GRPC = re.compile(r"^(grpcpp|grpc)/")
# Where generated code and gRPC may appear besides lib/rpc, lib/config, apps, bench and tests: the
# services' RPC handlers, their conversions, and the wiring with what it is made of. Domain code never
# sees them.
WIRE_FILE = re.compile(r"^((.*_)?service(_[a-z]+)?|wiring(_[a-z]+)?|bind_listeners|.*_settings|"
                       r"(.*_)?convert|.*_proto)\.(cc|h)$")
TEST_FILE = re.compile(r"(_test(_support|_base)?\.(cc|h)$|test_support|/testing/|_speed\.cc$|^tests/)")


def level_of(path):
    """The layer of a file or included header; None: not one of ours."""
    parts = path.split("/")
    if parts[0] == "lib" and len(parts) > 2:
        return LEVELS.get(parts[1])
    return {"services": 10, "apps": 20}.get(parts[0])


def may_use_wire_types(path):
    parts = path.split("/")
    if path.startswith(("lib/rpc/", "lib/config/", "apps/", "bench/", "tests/", "examples/")):
        return True
    if "clients" in parts or "api" in parts or TEST_FILE.search(path):
        return True
    return bool(WIRE_FILE.match(parts[-1]))


def check_file(path, text):
    """Findings for one file; `path` relative to the root, with forward slashes."""
    findings = []
    parts = path.split("/")
    own = level_of(path)
    test = bool(TEST_FILE.search(path))
    for included in INCLUDE.findall(text):
        target = level_of(included)
        if own is not None and target is not None:
            if target > own:
                findings.append(f"{path}: {included} is a higher layer")
            elif parts[0] == "services" and included.startswith("services/") \
                    and included.split("/")[1] != parts[1]:
                findings.append(f"{path}: {included} belongs to another service")
        for header, rooms in ROOMS:
            if header.search(included) and not path.startswith(tuple(rooms)) and not test:
                findings.append(f"{path}: {included} is allowed in {', '.join(rooms)} only")
        if own is not None and own <= PURE_LEVEL:
            if GRPC.search(included) or GENERATED.search(included):
                findings.append(f"{path}: {included} in a pure library")
            if included in ("thread", "sys/socket.h", "unistd.h") and not test \
                    and own == PURE_LEVEL:
                findings.append(f"{path}: {included} in a pure library")
        if GENERATED.search(included) and not may_use_wire_types(path):
            findings.append(f"{path}: {included} in domain code")
        if GRPC.search(included) and path.endswith(".h") and not may_use_wire_types(path):
            findings.append(f"{path}: {included} in a header of domain code")
        if included.startswith("tests/") and not test:
            findings.append(f"{path}: {included} outside of tests")
    return findings


def sources(root):
    for folder in ("lib", "services", "apps", "bench", "fuzz", "tests", "examples"):
        for path in sorted((Path(root) / folder).rglob("*")):
            if path.suffix in (".h", ".cc") and path.is_file():
                yield path.relative_to(root).as_posix(), path.read_text(errors="replace")
