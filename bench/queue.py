"""Rows about the queue when much waits in it: what one tenant's mail feels of another's, the cost of
an enqueue, of a waiting job in Redis, how fast a lost Redis is filled again, and what an hour of churn
beside a long reader leaves in the tables. Posthorn alone: the figures stand beside their targets."""

import contextlib
import os
import subprocess
import threading
import time

from bench import measure
from tests.support.platform import ServePlatform
from tests.support.processes import free_port, note, wait_until

JOBS_A_MESSAGE = 1000  # recipients of a filling message, each in a domain of its own
HOLD = 7200            # seconds that mail of row (j) waits: longer than the row


class QueueSystem:
    """Two tenants: clients from 127.0.0.1 are `bench`, those from 127.0.0.2 `bulk`."""

    def __init__(self, reconcile_seconds=10):
        self.sink_port = free_port()
        networks = ["127.0.0.1/32=bench", "127.0.0.2/32=bulk"]
        self.platform = ServePlatform(
            demo=False,
            config={"log": {"level": "warn"},
                    "queue": {"retry_schedule_seconds": [60], "lease_seconds": 60,
                              "reconcile_seconds": reconcile_seconds},
                    "gateway": {"limits": {"connections_per_address": 4000,
                                           "smtp_commands": 10_000_000}},
                    "delivery": {"routes": [{"pattern": "sink.example",
                                             "hosts": [f"127.0.0.1:{self.sink_port}"]},
                                            {"pattern": "*.sink.example",
                                             "hosts": [f"127.0.0.1:{self.sink_port}"]}]}},
            trusted_networks=networks,
            listener_options={"submission": {"trusted_networks": networks}})

    def start(self):
        self.platform.start()
        self.platform.passwords = {}
        for tenant in ("bench", "bulk"):
            self.platform.ctl("tenant", "add", tenant)
        self.mx_port = self.platform.ports().listeners["mx"]
        self.submission_port = self.platform.ports().listeners["submission"]
        self.redis_socket = self._find("redis.sock")
        return self

    def stop(self):
        self.platform.stop()

    def _find(self, name):
        with open("/proc/net/unix") as file:
            paths = [line.split()[-1] for line in file if line.rstrip().endswith("/" + name)]
        mine = [path for path in paths if path.startswith(self.platform.directory)
                or len(paths) == 1]
        if not mine:
            raise RuntimeError(f"no {name} among {paths}")
        return mine[0]

    def redis(self, *arguments):
        return subprocess.run(["redis-cli", "-s", self.redis_socket, *arguments], check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    def redis_memory(self):
        for line in self.redis("INFO", "memory").splitlines():
            if line.startswith("used_memory:"):
                return int(line.split(":")[1])
        raise RuntimeError("Redis does not tell its memory")

    def scheduled_jobs(self):
        """Jobs that Redis knows to wait."""
        return int(self.redis("EVAL", """
            local jobs = 0
            for _, key in ipairs(redis.call('KEYS', '{q*}:t:*')) do
              jobs = jobs + redis.call('ZCARD', key)
            end
            return jobs""", "0"))

    def psql_command(self, *sql):
        """As the database's owner, whom the embedded server knows by the user of the process."""
        command = ["psql", "-h", os.path.dirname(self.redis_socket), "-d", "posthorn", "-AtXq"]
        for statement in sql:
            command += ["-c", statement]
        return ["runuser", "-u", "posthorn", "--", *command] if os.getuid() == 0 else command

    def psql(self, sql):
        return subprocess.run(self.psql_command(sql), check=True, cwd="/", stdout=subprocess.PIPE,
                              text=True).stdout.strip()


@contextlib.contextmanager
def progress(system, what):
    """Tells every 20 s how many jobs wait in Redis, and at the end how long it took."""
    started, done = time.monotonic(), threading.Event()

    def tell():
        while not done.wait(20):
            note(f"{what}: {time.monotonic() - started:.0f} s, {system.scheduled_jobs()} jobs wait")
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
    note(f"{what}: took {time.monotonic() - started:.0f} s")


def fairness(system, loadgen, jobs):
    note(f"one tenant fills the queue with {jobs} jobs in 1,000 domains, of which 160 are sent in a "
         "second; then another sends 200 single messages, ten in a second, which are waited for at "
         "most two minutes")
    with progress(system, "filling and sending"):
        result = loadgen("fairness", port=system.mx_port, sink_port=system.sink_port, sink_delay=50,
                         messages=jobs // JOBS_A_MESSAGE, recipients_each=JOBS_A_MESSAGE, probes=200)
    note(f"{result['waiting']} jobs of another tenant waited at the end; filled in "
         f"{result['fill_seconds']} s, {result['sent_meanwhile']} sent meanwhile")
    return [("single message beside %d queued: p99" % result["waiting"], result["p99_seconds"], "s",
             "5"),
            ("the same: median", result["median_seconds"], "s", "")]


def enqueue_rate(system, loadgen, messages):
    """Messages a second that are accepted for later."""
    result = loadgen("enqueue", port=system.submission_port, connections=16, messages=messages,
                     recipients_each=1, hold=HOLD)
    return messages / result["seconds"]


def waiting_rows(system, loadgen, jobs, messages):
    """Jobs are put back as far ahead as three times `queue.reconcile_seconds`: it is an hour here, so
    that all that waits belongs to them."""
    rows = []
    note(f"{messages} messages beside nothing, then beside {jobs} jobs that wait for {HOLD} s, then "
         "while Redis is filled again; at most half an hour for that")
    empty = enqueue_rate(system, loadgen, messages)
    memory, known = system.redis_memory(), system.scheduled_jobs()
    with progress(system, "filling"):
        loadgen("enqueue", port=system.submission_port, connections=4,
                messages=jobs // JOBS_A_MESSAGE, recipients_each=JOBS_A_MESSAGE, hold=HOLD)
    waiting = wait_until(lambda: (lambda n: n if n >= known + jobs * 999 // 1000 else None)(
        system.scheduled_jobs()), 120, "all jobs in Redis")
    rows.append(("memory of a waiting job in Redis",
                 (system.redis_memory() - memory) / (waiting - known), "octets", ""))
    full = enqueue_rate(system, loadgen, messages)
    rows += [("enqueue 4 KB, nothing waits", empty, "msg/s", ""),
             (f"enqueue 4 KB, {waiting} jobs wait", full, "msg/s", ""),
             ("share of the speed that is left", 100 * full / empty, "%", "80")]

    expected = system.scheduled_jobs()
    system.redis("FLUSHALL")
    started = time.monotonic()
    with progress(system, "Redis is filled again"):
        accepted = enqueue_rate(system, loadgen, messages)
        wait_until(lambda: system.scheduled_jobs() >= expected * 999 // 1000, 1800,
                   lambda: f"Redis is filled again: {system.scheduled_jobs()} of {expected}",
                   interval=0.5)
    elapsed = time.monotonic() - started
    rows += [("jobs put back after a FLUSHALL", expected / elapsed * 60, "/min", "100000"),
             ("enqueue 4 KB meanwhile", accepted, "msg/s", "")]
    return rows


_SIZES = """SELECT sum(pg_table_size(c.oid)), sum(pg_indexes_size(c.oid)) FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'queue' AND c.relkind = 'r'
    AND c.relname IN ('message', 'job', 'recipient')"""


def churn_rows(system, loadgen, minutes):
    """Mail goes through while a transaction reads all the time, so that nothing can be vacuumed
    that it might see: it reads anew every five minutes, as a backup's parts or a report would."""
    def sizes():
        table, index = system.psql(_SIZES).split("|")
        return int(table) / 2**20, int(index) / 2**20

    def reader():
        return subprocess.Popen(
            system.psql_command("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue.job; "
                                f"SELECT pg_sleep({min(300, minutes * 30)}); COMMIT"),
            cwd="/", stdout=subprocess.DEVNULL)

    end = time.monotonic() + minutes * 60
    messages, started, peak = 0, time.monotonic(), (0.0, 0.0)
    reading = reader()
    while time.monotonic() < end:
        if reading.poll() is not None:
            reading = reader()
        loadgen("relay", port=system.mx_port, sink_port=system.sink_port, connections=8,
                messages=5000, size=4096,
                recipients=",".join(f"r{n}@sink.example" for n in range(20)))
        messages += 5000
        peak = max(peak, sizes(), key=sum)
        time.sleep(0.5)  # the sink's port is used again
    reading.wait()
    return [(f"{minutes} minutes of churn beside a reader", messages / (time.monotonic() - started),
             "msg/s", ""),
            ("the same: tables of the queue at most", peak[0], "MiB", ""),
            ("the same: their indexes at most", peak[1], "MiB", "")]


def run(only, loadgen, scale, churn_minutes):
    """Rows (i) to (m): (key, title, value, unit, target)."""
    jobs = 1_000_000 // scale
    found = []
    for key, reconcile_seconds, rows in (
            ("i", 10, lambda s: fairness(s, loadgen, jobs)),
            ("j", 3600, lambda s: waiting_rows(s, loadgen, jobs, 4_000 // scale)),
            ("m", 10, lambda s: churn_rows(s, loadgen, churn_minutes))):
        if key not in only:
            continue
        note(f"row {key}: starting a platform")
        system = QueueSystem(reconcile_seconds)
        try:
            system.start()
            found += [(key, *row) for row in rows(system)]
            note(f"memory of the platform: {measure.memory_kib(system.platform.process.pid)} KiB")
        finally:
            system.stop()
    return found


def print_rows(rows):
    if not rows:
        return
    print(f"\n{'The queue of Posthorn':56} {'':>12} {'':8} {'target':>8}")
    for key, title, value, unit, target in rows:
        print(f"{key + ') ' + title:56} {value:12.2f} {unit:8} {target:>8}", flush=True)
