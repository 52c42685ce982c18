"""The door at three times what can be taken: measured, and printed as a table.

`python -m tests.faults.overload` measures every case for 20 s; `run` gives the figures. The best
rate without overload is measured first, with a load that waits for its answers; then three times as
much is sent whatever comes back. Every answered 2xx must be a row afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from bench.payload import SECRET
from service.db import Database
from service.vendors.base import Secret
from tests.databases import make_tables
from tests.faults.proxy import Proxy
from tests.integration.door.receiver import TEST_KEY, add_source
from tests.servers import PostgresServer

TIMES = 3
CONNECTIONS_AT_PEAK = 256
CONNECTIONS = 4_000
LEAST_SHARE = 0.9
LEAST_SHARE_OF_PROCESSOR = 0.4
"""Where the database has its own limits, refusing costs nothing. Where the processor is the limit,
what is refused is paid with what is not accepted (docs/receiving.md)."""
SENT_SHARE = 0.8
"""Of what is to be sent: with less the load itself was what was measured."""
SENT_SHARE_OF_PROCESSOR = 0.4
"""The load has one processor as well, and cannot send three times what the other takes."""
GROWTH_MB = 32
SAMPLE_S = 0.1
SLOW_ROW = """
    CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION be_slow();
"""
REFUSALS = frozenset({"429", "503"})
STORED = frozenset({"200", "202"})


@dataclass
class Figures:
    """What one case gave."""

    case: str
    least_share: float
    """Of the peak: what must be accepted."""
    sent_share: float
    """Of three times the peak: what must be sent."""
    peak: float
    offered: float
    accepted: float
    statuses: Counter[str]
    p99_ms: float
    memory_mb: tuple[float, float]
    """After a third of the overload, and the most from then on."""
    lost: int
    faults: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Note what is not as it should be."""
        if self.accepted < self.least_share * self.peak:
            self.faults.append(f"accepted {self.accepted / self.peak:.0%} of the peak")
        others = {status for status in self.statuses if self.statuses[status]} - {
            *REFUSALS,
            *STORED,
            "unsent",
        }
        if others:
            self.faults.append(f"neither stored nor refused: {sorted(others)}")
        if self.offered < self.sent_share * TIMES * self.peak:
            self.faults.append(f"only {self.offered / self.peak:.1f} times the peak was sent")
        if self.memory_mb[1] > self.memory_mb[0] + GROWTH_MB:
            self.faults.append("memory grew")
        if self.lost:
            self.faults.append(f"{self.lost} were answered 2xx and are not there")


class Receiver:
    """The receiver as a process, on one processor, and how much memory it takes."""

    def __init__(self, database_url: str, directory: Path, processor: int | None) -> None:
        self._directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.door_server"],
            env={
                **os.environ,
                "HOOKWRIGHT_DATABASE_URL": database_url,
                "HOOKWRIGHT_SECRET_KEYS": TEST_KEY,
                "HOOKWRIGHT_DATA_DIR": str(directory),
                "HOOKWRIGHT_PORT": "0",
                "HOOKWRIGHT_LOG_LEVEL": "error",
            },
            stdout=subprocess.PIPE,
        )
        if processor is not None:
            os.sched_setaffinity(self.process.pid, {processor})
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.samples: list[tuple[float, int]] = []
        """Memory by time."""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def memory(self) -> int:
        """Give the resident memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self._thread.join()
        self.process.terminate()
        self.process.communicate(timeout=30)

    def _sample(self) -> None:
        while not self._ending.wait(SAMPLE_S):
            with contextlib.suppress(OSError):
                self.samples.append((time.monotonic(), self.memory()))

    def memory_mb(self, since: float) -> tuple[float, float]:
        """Give what it took at this time and the most from then on, in MiB."""
        later = [size for when, size in self.samples if when >= since] or [self.memory()]
        return later[0] / 2**20, max(later) / 2**20


def load(port: int, rate: float, seconds: float, connections: int) -> dict[str, Any]:
    """Send, from a process of its own."""
    numbers = (port, rate, seconds, connections)
    with tempfile.NamedTemporaryFile() as counts:
        subprocess.run(
            [sys.executable, "-m", "tests.faults.open_load", *map(str, numbers), counts.name],
            check=True,
            timeout=seconds + 60,
        )
        given: dict[str, Any] = json.loads(Path(counts.name).read_bytes())
    return given


def measure(
    case: str,
    url: str,
    seconds: float,
    *,
    database_url: str | None = None,
    least_share: float = LEAST_SHARE,
    sent_share: float = SENT_SHARE,
) -> Figures:
    """Find the peak, send three times as much, and look into the books.

    `database_url`: how the receiver reaches the database that has the address `url`.
    """
    database = Database(url)
    directory = Path(tempfile.mkdtemp(prefix="hw-overload-"))
    receiver = Receiver(database_url or url, directory, 0)
    try:
        load(receiver.port, 0, seconds / 10, 8)
        peak = load(receiver.port, 0, seconds / 3, CONNECTIONS_AT_PEAK)
        best = len(peak["stored"]) / (seconds / 3)
        began = time.monotonic()
        over = load(receiver.port, TIMES * best, seconds, CONNECTIONS)
        figures = Figures(
            case,
            least_share,
            sent_share,
            peak=best,
            offered=(sum(over["statuses"].values()) - over["statuses"]["unsent"]) / seconds,
            accepted=len(over["stored"]) / seconds,
            statuses=Counter(over["statuses"]),
            p99_ms=over["p99_ms"],
            memory_mb=receiver.memory_mb(began + seconds / 3),
            lost=_lost(database, peak) + _lost(database, over),
        )
        figures.judge()
        return figures
    finally:
        receiver.stop()
        database.dispose()
        shutil.rmtree(directory)


def _lost(database: Database, sent: Mapping[str, Any]) -> int:
    statement = text("SELECT delivery_key FROM deliveries WHERE delivery_key LIKE :key")
    with database.engine.connect() as connection:
        rows = connection.execute(statement, {"key": f"%{sent['name']}-%"})
        there = {int(row[0].rpartition("-")[2]) for row in rows}
    return len(set(sent["stored"]) - there)


# --- the cases --------------------------------------------------------------------------------


@contextlib.contextmanager
def postgres(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Give a PostgreSQL with every table and the source, which forces to disk."""
    with PostgresServer(durable=True, **(settings or {})) as server:
        prepare(server.url())
        yield server


def prepare(url: str) -> None:
    """Make every table and the source that everything is sent to."""
    make_tables(url)
    database = Database(url)
    with database.session() as session:
        limits = {"per_second": 1_000_000, "burst": 1_000_000}
        add_source(session, secrets=[Secret(SECRET)], limits=limits)
    database.dispose()


def processor_is_the_limit(seconds: float) -> Figures:
    """PostgreSQL and the receiver have one processor between them."""
    with postgres() as server:
        os.sched_setaffinity(server.pid, {0})
        return measure(
            "processor",
            server.url(),
            seconds,
            least_share=LEAST_SHARE_OF_PROCESSOR,
            sent_share=SENT_SHARE_OF_PROCESSOR,
        )


def rows_are_slow(seconds: float) -> Figures:
    """PostgreSQL takes 2 ms for a row, whatever the group."""
    with postgres() as server:
        with psycopg.connect(server.url()) as connection:
            connection.execute(SLOW_ROW.encode())
        return measure("postgresql, slow rows", server.url(), seconds)


def line_is_slow(seconds: float) -> Figures:
    """PostgreSQL is 50 ms away."""
    with postgres() as server, Proxy(server.port) as proxy:
        proxy.delay(0.025)
        through = server.url().replace(f":{server.port}/", f":{proxy.port}/")
        return measure("postgresql, slow line", server.url(), seconds, database_url=through)


def others_write(seconds: float) -> Figures:
    """SQLite, with another process that holds the lock for most of the time."""
    with tempfile.TemporaryDirectory(prefix="hw-overload-") as directory:
        path = Path(directory) / "hookwright.db"
        prepare(f"sqlite:///{path}")
        with _writer_beside(path):
            return measure("sqlite, another writer", f"sqlite:///{path}", seconds)


@contextlib.contextmanager
def _writer_beside(path: Path) -> Iterator[None]:
    ending = threading.Event()

    def write() -> None:
        other = sqlite3.connect(path, isolation_level=None, timeout=10)
        while not ending.wait(0.02):
            other.execute("BEGIN IMMEDIATE")
            ending.wait(0.04)
            other.execute("COMMIT")
        other.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


CASES: tuple[Callable[[float], Figures], ...] = (
    processor_is_the_limit,
    rows_are_slow,
    line_is_slow,
    others_write,
)


def run(
    seconds: float = 20.0, cases: tuple[Callable[[float], Figures], ...] = CASES
) -> dict[str, Any]:
    """Measure the cases; gives `good`, the `figures` and a `table` for people."""
    figures = [case(seconds) for case in cases]
    return {
        "good": not any(one.faults for one in figures),
        "figures": figures,
        "table": table(figures),
    }


def table(figures: list[Figures]) -> str:
    """Give the figures as a table."""
    lines = [
        "| limit | peak /s | offered /s | accepted /s | of peak | 503, 429 | other | p99 ms | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        refused = sum(one.statuses[status] for status in REFUSALS)
        other = sum(one.statuses.values()) - refused - one.statuses["unsent"]
        other -= sum(one.statuses[status] for status in STORED)
        lines.append(
            f"| {one.case} | {one.peak:.0f} | {one.offered:.0f} | {one.accepted:.0f} "
            f"| {one.accepted / one.peak:.0%} | {refused} | {other} | {one.p99_ms:.0f} "
            f"| {one.memory_mb[0]:.0f} to {one.memory_mb[1]:.0f} |"
        )
    return "\n".join([*lines, *(f"{one.case}: {fault}" for one in figures for fault in one.faults)])


def main() -> int:
    """Measure, print, and say whether all was good."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    names = sys.argv[2:]
    cases = tuple(case for case in CASES if not names or case.__name__ in names)
    given = run(seconds, cases)
    sys.stdout.write(given["table"] + "\n")
    for one in given["figures"]:
        sys.stdout.write(f"{one.case}: {dict(one.statuses)}, lost {one.lost}\n")
    return 0 if given["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
