"""The door against a hand-written route: same database, same Redis, same load, one run.

`python -m bench.door_vs_handwritten` prints a Markdown table and writes JSON beside it; see
README.md for the method. A figure whose books do not balance (answers against rows) is void.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

from sqlalchemy import text

from bench.payload import BODY, HEADERS, ID_HEADER
from service.db import Database
from tests.servers import PostgresServer, RedisServer, free_port, wait_until

RESULTS = Path(__file__).parent / "results"
SYSTEM_CPU, LOAD_CPU = 0, 1
CONNECTIONS = 32
WARM_UP_CONNECTIONS = 8
WARM_UP_S = 3
PATIENCE_S = 30
STILL_FOR_S = 0.5
FSYNCS = 200


@dataclass(frozen=True)
class Contender:
    """A receiver: its ASGI factory and the table where its rows are found."""

    name: str
    factory: str
    table: str


CONTENDERS = (
    Contender("hand-written route", "bench.handwritten_route:make_app", "handwritten_deliveries"),
    Contender("door", "bench.door_app:make_app", "deliveries"),
)


@dataclass(frozen=True)
class Measured:
    """One run of the load."""

    contender: str
    database: str
    rate: float
    p50_ms: float
    p99_ms: float
    stored: int
    answered: int
    others: int
    unread: int

    @property
    def balances(self) -> bool:
        """Say whether every 2xx is a row, every row a 2xx, and nothing else was answered.

        wrk hangs up at the end without reading the answers under way: so many rows may be more.
        """
        return 0 <= self.stored - self.answered <= self.unread and self.others == 0


def pin(cpu: int, process: int = 0) -> None:
    """Keep a process (0: this one), and what it starts later, on one processor if there are two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > LOAD_CPU:
        os.sched_setaffinity(process, {cpu})


@contextlib.contextmanager
def serving(contender: Contender, database_url: str, redis_url: str) -> Iterator[int]:
    """Run a contender in a process of its own; gives its port."""
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "uvicorn", contender.factory, "--factory", "--loop", "uvloop"),
            *("--http", "httptools", "--no-access-log", "--log-level", "warning"),
            *("--host", "127.0.0.1", "--port", str(port), "--no-server-header"),
        ],
        env={
            **os.environ,
            "HOOKWRIGHT_DATABASE_URL": database_url,
            "HOOKWRIGHT_REDIS_URL": redis_url,
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: process.poll() is not None or _answers(port), PATIENCE_S, what="the start"
        )
        if process.returncode is not None:
            message = f"the {contender.name} did not start"
            raise RuntimeError(message)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    try:
        urlopen(f"http://127.0.0.1:{port}/hooks/none", timeout=5).close()
    except URLError as error:
        return hasattr(error, "code")
    return True


def send_with_python(port: int, path: str, connections: int, seconds: int) -> dict[str, Any]:
    """Load with our own generator."""
    arguments = [str(value) for value in (port, path, connections, seconds)]
    return _last_line([sys.executable, "-m", "bench.load", *arguments])


def send_with_wrk(port: int, path: str, connections: int, seconds: int) -> dict[str, Any]:
    """Load with wrk, whose script prints the same JSON."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "post.lua"
        script.write_text(_wrk_script(), encoding="utf-8")
        return _last_line(
            [
                "wrk",
                *("-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{PATIENCE_S}s"),
                *("-s", str(script)),
                f"http://127.0.0.1:{port}{path}",
            ]
        )


def _last_line(command: list[str]) -> dict[str, Any]:
    """Run the load on its own processor; gives the JSON of its last line."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        pin(LOAD_CPU, process.pid)
        said, _ = process.communicate()
    if process.returncode:
        message = f"{command[0]} ended with {process.returncode}"
        raise RuntimeError(message)
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    return answer


def _wrk_script() -> str:
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in HEADERS)
    return f"""
wrk.method = "POST"
wrk.body = [==[{BODY.decode()}]==]
{headers}
local number = 0
request = function()
  number = number + 1
  wrk.headers["{ID_HEADER}"] = "{uuid4()}-" .. number
  return wrk.format()
end
done = function(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
  print(string.format(
    '\\n{{"seconds": %f, "statuses": {{"2xx": %d, "other": %d}}, "p50_ms": %f, "p99_ms": %f}}',
    summary.duration / 1e6, summary.requests - summary.errors.status,
    summary.errors.status + summary.errors.timeout + failed,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


Sender = Callable[[int, str, int, int], dict[str, Any]]


def measure(
    contender: Contender, kind: str, database_url: str, redis_url: str, send: Sender, seconds: int
) -> Measured:
    """Serve, warm up, load once, and compare answers with rows."""
    with serving(contender, database_url, redis_url) as port:
        database = Database(database_url)
        send(port, "/hooks/github", WARM_UP_CONNECTIONS, WARM_UP_S)
        before = settled_rows(database, contender.table)
        answer = send(port, "/hooks/github", CONNECTIONS, seconds)
        stored = settled_rows(database, contender.table) - before
        database.dispose()
    statuses: dict[str, int] = answer["statuses"]
    answered = sum(count for status, count in statuses.items() if status.startswith("2"))
    return Measured(
        contender=contender.name,
        database=kind,
        rate=answered / answer["seconds"],
        p50_ms=answer["p50_ms"],
        p99_ms=answer["p99_ms"],
        stored=stored,
        answered=answered,
        others=sum(statuses.values()) - answered,
        unread=CONNECTIONS if send is send_with_wrk else 0,
    )


def settled_rows(database: Database, table: str) -> int:
    """Count the rows once nothing has been stored for half a second."""
    count, since = -1, time.monotonic()

    def is_still() -> bool:
        nonlocal count, since
        with database.session(read_only=True) as session:
            statement = text(f"SELECT count(*) FROM {table}")  # noqa: S608  # our own constants
            now = session.connection().execute(statement).scalar_one()
        if now != count:
            count, since = now, time.monotonic()
        return time.monotonic() - since > STILL_FOR_S

    wait_until(is_still, PATIENCE_S, what="an end of the storing")
    return count


@contextlib.contextmanager
def fresh_database(kind: str) -> Iterator[str]:
    """Give the address of an empty database, run on the system's processor, with full fsync."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as directory:
            yield f"sqlite:///{directory}/bench.db"
        return
    with PostgresServer(durable=True) as server:
        yield server.url()


def run(kinds: list[str], send: Sender, rounds: int, seconds: int) -> list[Measured]:
    """Measure every contender on every database, in turns, so that a slow minute hits all."""
    measured = []
    with RedisServer() as redis_server:
        for kind in kinds:
            for number in range(rounds):
                for contender in CONTENDERS:
                    with fresh_database(kind) as url:
                        one = measure(contender, kind, url, redis_server.url, send, seconds)
                    print(
                        f"{kind} {number + 1}/{rounds} {one.contender}: {one.rate:,.0f} /s, "
                        f"{one.answered} answered, {one.stored} stored",
                        file=sys.stderr,
                    )
                    measured.append(one)
    return measured


def table(measured: list[Measured], kinds: list[str]) -> str:
    """Give the medians as Markdown, each beside the hand-written route's."""
    lines = [
        "| Database | Receiver | Deliveries/s | p50 ms | p99 ms | Ratio | Books |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in kinds:
        base = 0.0
        for contender in CONTENDERS:
            rounds = [m for m in measured if (m.database, m.contender) == (kind, contender.name)]
            rate = statistics.median(one.rate for one in rounds)
            base = base or rate
            lines.append(
                f"| {kind} | {contender.name} | {rate:,.0f} "
                f"| {statistics.median(one.p50_ms for one in rounds):.1f} "
                f"| {statistics.median(one.p99_ms for one in rounds):.1f} "
                f"| {rate / base:.1f} "
                f"| {'balance' if all(one.balances for one in rounds) else 'VOID'} |"
            )
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Say where it was measured."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    return {
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "fdatasync_us": round(fsync_us()),
        "pinned": hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > LOAD_CPU,
    }


def fsync_us() -> float:
    """Give what it costs here to force 8 KiB to disk, which decides what a commit costs."""
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        for number in range(FSYNCS):
            os.pwrite(file.fileno(), bytes(8192), number * 8192)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - began) / FSYNCS * 1e6


def main() -> int:
    """Measure and print; 1 when the books of any figure do not balance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--database", choices=["postgres", "sqlite"], action="append")
    parser.add_argument("--load", choices=["python", "wrk"])
    options = parser.parse_args()
    kinds = options.database or ["postgres", "sqlite"]
    load = options.load or ("wrk" if shutil.which("wrk") else "python")
    pin(SYSTEM_CPU)
    send = send_with_wrk if load == "wrk" else send_with_python
    measured = run(kinds, send, options.rounds, options.seconds)
    print(table(measured, kinds))
    RESULTS.mkdir(exist_ok=True)
    report = {"machine": machine(), "load": load, "runs": [asdict(one) for one in measured]}
    path = RESULTS / "door_vs_handwritten.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"\n{report['machine']}\nload: {load}; every run: {path}")
    return 0 if all(one.balances for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
