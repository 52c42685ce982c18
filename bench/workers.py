"""How many runs of three local steps are performed a second: Hookwright, Dramatiq alone, DBOS.

The work is there before it begins: deliveries that the door has stored, messages in the queue. DBOS
alone begins its workflows, durably, while it performs them: it has no other way that is as fast.
What counts is the time from the first sign of work to the end of the last run. Worker, PostgreSQL
and Redis share the system's processor.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from uuid import uuid4

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy import create_engine, text

from bench.baselines import step_rows
from bench.figures import Context, Figure, Measurement, Wanted
from bench.installation import RECEIVING, new_installation
from bench.loading import Load, send
from bench.machine import ROOT, SYSTEM_CPU, on_cpu
from bench.processor_time import seconds
from service.db import Database

CHAIN, DBOS = (
    Wanted("workers/chain", "runs of three local steps a second ÷ a plain Dramatiq chain", 1.0),
    Wanted("workers/dbos", "runs of three local steps a second ÷ DBOS", 1.0),
)
RUNS, QUICK_RUNS = 1500, 40
STEPS = 3
DBOS_WARM_UP_RUNS = 50
THREADS = 8
LOOK_EVERY_S = 0.03
PATIENCE_S = 300.0
STORING_S = 60.0
REQUIREMENTS = Path(__file__).parent / "baselines" / "requirements-dbos.txt"
ENVIRONMENT = Path(sys.prefix) / "bench-dbos"
"""Within our own environment, so that nobody takes it for a part of the project."""
WORKFLOW = """
name: three-steps
on:
  - event: "*"
    vendor: github
steps:
  - id: one
    emit: {type: bench.one, subject: "${{ event.subject }}"}
  - id: two
    emit: {type: bench.two, facts: {first: "${{ steps.one.event_id }}"}}
  - id: three
    emit: {type: bench.three, facts: {second: "${{ steps.two.event_id }}"}}
"""


@dataclass(frozen=True)
class Performed:
    """What one round gave. `void` says why it does not count."""

    runs: int
    seconds: float
    cpu_ms: float
    """Processor time of worker, PostgreSQL and Redis for each run."""
    void: str

    @property
    def rate(self) -> float:
        """Runs a second."""
        return self.runs / self.seconds


@dataclass(frozen=True)
class Watched:
    """What was seen of the work: `done` is the share of it that was left at the first sign."""

    done: float
    seconds: float
    processor: float

    def performed(self, runs: int, void: str) -> Performed:
        """Give it as a round: what was begun before the first sign was seen does not count."""
        counted = max(1, round(runs * self.done))
        return Performed(counted, self.seconds, self.processor / counted * 1e3, void)


@dataclass(frozen=True)
class Progress:
    """How far the work has come: statements that count, and what they count at the end."""

    url: str
    begun: str
    ended: str
    whole: int

    def watch(self, pids: Callable[[], set[int]]) -> Watched:
        """Wait for the end, and give what was seen from the first sign of work on."""
        database = Database(self.url)
        try:
            return self._watch(database, pids)
        finally:
            database.dispose()

    def _watch(self, database: Database, pids: Callable[[], set[int]]) -> Watched:
        started = time.monotonic()
        while not (begun := self._count(database, self.begun)):
            self._pause(started)
        began, used = time.monotonic(), seconds(pids())
        while self._count(database, self.ended) < self.whole:
            self._pause(started)
        ended = time.monotonic()
        return Watched(1 - begun / self.whole, ended - began, seconds(pids()) - used)

    @staticmethod
    def _pause(started: float) -> None:
        if time.monotonic() - started > PATIENCE_S:
            message = f"the work has not ended after {PATIENCE_S:g} s"
            raise RuntimeError(message)
        time.sleep(LOOK_EVERY_S)

    @staticmethod
    def _count(database: Database, statement: str) -> int:
        with database.session(read_only=True) as session:
            return int(session.connection().execute(text(statement)).scalar_one())


def run(context: Context) -> Iterator[Figure]:
    """Perform in turns, and divide."""
    chosen = context.chosen((CHAIN, DBOS))
    runs = QUICK_RUNS if context.quick else RUNS
    perform = {"hookwright": perform_hookwright}
    if CHAIN in chosen:
        perform["dramatiq chain"] = perform_chain
    # The nearest two are compared more often: no machine is as fast in one second as in the next.
    turns = [list(perform), *([list(reversed(perform)), list(perform)] if CHAIN in chosen else [])]
    python, absent = _dbos_python(context) if DBOS in chosen else (None, "")
    if python is not None:
        perform["dbos"] = lambda context, runs: perform_dbos(context, runs, python)
        turns[-1].append("dbos")
    rounds: dict[str, list[Performed]] = {name: [] for name in perform}
    for number in range(context.rounds):
        for name in chain.from_iterable(turns):
            done = perform[name](context, runs)
            rounds[name].append(done)
            context.note(
                f"workers/{name}",
                round=number + 1,
                runs=done.runs,
                rate=round(done.rate, 1),
                cpu_ms=round(done.cpu_ms, 2),
                void=done.void or "no",
            )
    ours = rounds["hookwright"]
    for wanted, name in ((CHAIN, "dramatiq chain"), (DBOS, "dbos")):
        if wanted not in chosen:
            continue
        if name not in rounds:
            yield Figure(wanted, absent=absent)
            continue
        # Where ours are more, it is the last of a round that stands beside the other.
        step = len(ours) // len(rounds[name])
        pairs = list(zip(ours[step - 1 :: step], rounds[name], strict=True))
        void = "; ".join(sorted({one.void for pair in pairs for one in pair if one.void}))
        yield Figure(wanted, [over.rate / under.rate for over, under in pairs], void=void)


def perform_hookwright(context: Context, runs: int) -> Performed:
    """Let the door store deliveries; then let a worker come to them."""
    servers = context.servers
    configuration = f"{RECEIVING}\nworkflows: [workflows/three-steps.yaml]\n"
    with (
        servers.database("postgres") as url,
        new_installation(url, servers.fresh_redis(), configuration) as installation,
    ):
        installation.add_workflow("three-steps", WORKFLOW)
        installation.prepare()
        with installation.running("serve"):
            load = Load(installation.port, STORING_S, connections=8, requests=runs)
            stored = send(load).good
        ended = "SELECT count(*) FROM runs WHERE ended_at IS NOT NULL"
        progress = Progress(
            url, "SELECT count(*) FROM events WHERE vendor = 'github'", ended, stored
        )
        servers.checkpoint()
        with installation.running("work", ready=None) as worker:
            watched = progress.watch(lambda: servers.pids() | {worker.pid})
        counts = _counts(
            url,
            "SELECT count(*) FROM runs WHERE status = 'succeeded'",
            "SELECT count(*) FROM events WHERE vendor = 'hookwright' AND type LIKE 'bench.%'",
        )
    void = "" if counts == [stored, stored * STEPS] else f"{stored} deliveries, {counts}"
    return watched.performed(stored, void)


def perform_chain(context: Context, runs: int) -> Performed:
    """Send the first messages; then let a worker of Dramatiq come to them."""
    servers = context.servers
    with servers.database("postgres") as url:
        redis_url = servers.fresh_redis()
        environment = {"BENCH_DATABASE_URL": url, "BENCH_REDIS_URL": redis_url}
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        step_rows.create_table(engine)
        engine.dispose()
        broker = RedisBroker(url=redis_url)  # type: ignore[no-untyped-call]
        for number in range(runs):
            arguments = (str(uuid4()), number)
            broker.enqueue(dramatiq.Message("default", "one", arguments, {}, {}))
        broker.close()
        steps = f"SELECT count(*) FROM {step_rows.TABLE}"  # noqa: S608  # our own constant
        command = [
            str(Path(sys.executable).with_name("dramatiq")),
            *("bench.baselines.dramatiq_chain", "--processes", "1", "--threads", str(THREADS)),
        ]
        servers.checkpoint()
        with _worker(command, environment) as worker:
            progress = Progress(url, steps, steps, runs * STEPS)
            watched = progress.watch(lambda: servers.pids() | {worker.pid})
        return watched.performed(runs, _rows_fault(url, runs))


def perform_dbos(context: Context, runs: int, python: Path) -> Performed:
    """Let DBOS begin the workflows and perform them."""
    servers = context.servers
    with servers.database("postgres") as url:
        command = [
            str(python),
            "-m",
            "bench.baselines.dbos_chain",
            str(DBOS_WARM_UP_RUNS),
            str(runs),
        ]
        environment = {**os.environ, "BENCH_DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
        servers.checkpoint()
        used = seconds(servers.pids())
        with on_cpu(SYSTEM_CPU):
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        said, errors = process.communicate(timeout=PATIENCE_S)
        if process.returncode:
            raise RuntimeError(errors[-2000:].decode(errors="replace"))
        used = seconds(servers.pids()) - used
        told = json.loads(said.splitlines()[-1])
        whole = runs + DBOS_WARM_UP_RUNS
        cpu_ms = (used / whole + told["processor"] / runs) * 1e3
        return Performed(runs, told["seconds"], cpu_ms, _rows_fault(url, whole))


def _rows_fault(url: str, runs: int) -> str:
    steps = f"SELECT count(*) FROM {step_rows.TABLE}"  # noqa: S608  # our own constant
    distinct = f"SELECT count(DISTINCT run) FROM {step_rows.TABLE}"  # noqa: S608  # likewise
    counts = _counts(url, steps, distinct)
    return "" if counts == [runs * STEPS, runs] else f"{runs} runs, and rows, runs: {counts}"


def _counts(url: str, *statements: str) -> list[int]:
    database = Database(url)
    try:
        with database.session(read_only=True) as session:
            connection = session.connection()
            return [int(connection.execute(text(one)).scalar_one()) for one in statements]
    finally:
        database.dispose()


@contextlib.contextmanager
def _worker(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as log:
        with on_cpu(SYSTEM_CPU):
            process = subprocess.Popen(
                command, env={**os.environ, **environment}, cwd=ROOT, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _dbos_python(context: Context) -> tuple[Path | None, str]:
    """Give the Python that has DBOS, installed when it is not there; else why there is none."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "requirements.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python, ""
    context.tell("  installing DBOS into an environment of its own")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    commands = (
        [sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)],
        [*pip, "install", "-qq", "--require-hashes", "-r", str(REQUIREMENTS)],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, f"DBOS could not be installed: {done.stderr.strip()[-300:]}"
    stamp.write_text(wanted, encoding="utf-8")
    return python, ""


MEASUREMENT = Measurement("workers", (CHAIN, DBOS), run)
