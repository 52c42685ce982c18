"""What the door loses while a million old deliveries are removed.

They stand in the partition of a day that is over, in two databases alike. The door of one is loaded
with a process beside it, on the same processor, that does nothing but remove; that of the other in
turns with it, while nobody removes anything: no machine is as fast in one minute as in the next.
The turns are long, and none ends before what it left to PostgreSQL is cleared away, under load and
on its own account: done later, it would be the other's loss.

Run as a process (`python -m bench.removing`), it is the one that removes.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import fmean

import psycopg

from bench.figures import Context, Figure, Measurement, Unit, Wanted
from bench.filling import DAY, Filler, filling, make_days, midnight
from bench.installation import Installation, new_installation
from bench.loading import Load, send
from bench.machine import SYSTEM_CPU, on_cpu
from bench.payload import body_of
from bench.processor_time import seconds
from bench.receivers import Running
from bench.rounds import Round, load_round, warm_door
from schemas.ids import first_id
from service.db import Database
from service.queue import UnheardQueue
from service.retention import Remover
from service.runtime import make_runtime
from service.settings import load_settings
from workers.chores import Chore, Housekeeper

LOSS = Wanted(
    "retention/door",
    "what the door loses while retention removes 1,000,000 deliveries",
    10.0,
    Unit.PERCENT,
    at_most=True,
)
ROWS, QUICK_ROWS = 1_000_000, 60_000
BESIDE_ROUNDS, QUICK_BESIDE_ROUNDS = 8, 2
ALONE_ROUNDS, QUICK_ALONE_ROUNDS = 2, 1
"""In each turn; those while what is gone is cleared away come to them."""
AGE = 60 * DAY
BODY_BYTES = 512
EVERY = timedelta(seconds=1)
LONGEST_S, QUICK_LONGEST_S = 1200.0, 60.0
STOP_S = 30.0
GO_ON, PAUSE = b"go on\n", b"pause\n"


def run(context: Context) -> Iterator[Figure]:
    """Load both in turns until everything is removed from one."""
    with (
        _filled(context, QUICK_ROWS if context.quick else ROWS) as installation,
        _copied(context, installation) as untouched,
        _removing(installation) as remover,
        warm_door(context, untouched) as alone,
        warm_door(context, installation) as beside,
    ):
        turns: list[_Turns] = []
        left = filled = _left(installation)
        until = time.monotonic() + (QUICK_LONGEST_S if context.quick else LONGEST_S)
        # A quick run has seen enough when anything has gone.
        while (left == filled if context.quick else left) and time.monotonic() < until:
            pair = _Turns(len(turns) + 1)
            # Who is first changes, so that a machine that becomes slower is nobody's loss.
            if pair.number % 2:
                pair.load_beside(context, beside, installation, remover)
                pair.load_alone(context, alone, untouched)
            else:
                pair.load_alone(context, alone, untouched)
                pair.load_beside(context, beside, installation, remover)
            turns.append(pair)
            left = _left(installation)
        context.note(
            "retention/removed",
            filled=filled,
            rows_and_keys_left=left,
            remover_cpu_s=seconds([remover.pid]),
        )
    faults = {one.void for pair in turns for one in (*pair.removing, *pair.alone)} - {""}
    if left == filled:
        faults.add("nothing was removed")
    elif left and not context.quick:
        faults.add(f"{left:,} rows and keys were still there at the end")
    note = (
        f"{filled - left:,} of {filled:,} rows and keys went; turns of each: {len(turns)}, rounds"
        f" of {context.seconds:.0f} s: {sum(len(pair.removing) for pair in turns)} beside and"
        f" {sum(len(pair.alone) for pair in turns)} alone"
    )
    losses = [pair.loss for pair in turns]
    yield Figure(LOSS, losses, void="; ".join(sorted(faults)), note=note)


class _Turns:
    """A turn beside the removing and one alone."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.removing: list[Round] = []
        self.alone: list[Round] = []

    @property
    def loss(self) -> float:
        """What the door lost, in percent of what it does alone."""
        beside, alone = (fmean(one.rate for one in each) for each in (self.removing, self.alone))
        return (1 - beside / alone) * 100

    def load_beside(
        self, context: Context, running: Running, installation: Installation, remover: _Remover
    ) -> None:
        """Load the door while rows go, until enough rounds are over or none is left."""

        def load(what: str) -> None:
            self.removing.append(_round(context, running, f"beside {what}", self.number))

        remover.go_on()
        for _ in range(QUICK_BESIDE_ROUNDS if context.quick else BESIDE_ROUNDS):
            load("removing")
            if not _left(installation):
                break
        remover.pause()
        _clear_away(installation, lambda: load("clearing away"))

    def load_alone(self, context: Context, running: Running, installation: Installation) -> None:
        """Load the other's door, which needs fewer rounds: nothing changes meanwhile."""

        def load() -> None:
            self.alone.append(_round(context, running, "alone", self.number))

        for _ in range(QUICK_ALONE_ROUNDS if context.quick else ALONE_ROUNDS):
            load()
        _clear_away(installation, load)


def _round(context: Context, running: Running, name: str, number: int) -> Round:
    one = load_round(context, running, warm_up=None)
    return one.noted(context, f"retention/{name}", turn=number)


@contextmanager
def _filled(context: Context, rows: int) -> Iterator[Installation]:
    with (
        context.servers.database("postgres") as url,
        new_installation(url, context.servers.fresh_redis()) as installation,
    ):
        installation.prepare()
        with installation.running("serve"):
            body = body_of(BODY_BYTES)
            send(Load(installation.port, 10.0, connections=1, body=body, requests=1))
        until = midnight() - AGE
        make_days(url, "deliveries", until, 1)
        with filling(url) as connection:
            filler = Filler(connection, until=until, days=1, rows=rows)
            stored = {"received_at": filler.time, "state": "'ingested'", "due_at": "NULL"}
            filler.copy("deliveries", {**stored, "delivery_key": "'copy-' || n"})
        yield installation


@contextmanager
def _copied(context: Context, installation: Installation) -> Iterator[Installation]:
    """Give one with a copy of its database, of which nobody makes use meanwhile."""
    with (
        context.servers.database("postgres", installation.database_url) as url,
        new_installation(url, context.servers.redis.url) as copy,
    ):
        yield copy


def _left(installation: Installation) -> int:
    """Count the old rows, and those of their keys, that are still there."""
    bound = first_id(midnight() - AGE + DAY)
    with psycopg.connect(installation.database_url) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM deliveries WHERE id < %(bound)s)"
            " + (SELECT count(*) FROM delivery_keys WHERE row_id < %(bound)s)",
            {"bound": bound},
        ).fetchone()
    assert found is not None
    return int(found[0])


def _clear_away(installation: Installation, load: Callable[[], None]) -> None:
    """Load until PostgreSQL has cleared away what is gone: what autovacuum would do later."""

    def vacuum() -> None:
        url = installation.database_url
        with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute("SET vacuum_cost_delay = '2ms'")  # as gently as autovacuum
            connection.execute("VACUUM delivery_keys")

    with ThreadPoolExecutor(1) as pool:
        clearing = pool.submit(vacuum)
        while not clearing.done():
            load()
        clearing.result()


class _Remover:
    """The process that removes, and can be told to pause."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process

    def go_on(self) -> None:
        """Let it remove."""
        self._tell(GO_ON)

    def pause(self) -> None:
        """Let it end the portion under way and wait."""
        self._tell(PAUSE)

    def _tell(self, what: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(what)
        self._process.stdin.flush()


@contextmanager
def _removing(installation: Installation) -> Iterator[_Remover]:
    with tempfile.TemporaryFile() as log:
        with on_cpu(SYSTEM_CPU):
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.removing"],
                cwd=installation.directory,
                env=installation.environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        try:
            yield _Remover(process)
            if process.poll() is not None:
                log.seek(0)
                message = f"removing ended: {log.read()[-2000:].decode(errors='replace')}"
                raise RuntimeError(message)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(STOP_S)


def main() -> None:
    """Remove what is over while it is let, as the leading worker does, and nothing else."""
    settings = load_settings()
    Path(os.environ["HOOKWRIGHT_DATA_DIR"]).mkdir(parents=True, exist_ok=True)
    database = Database(settings.effective_database_url)
    runtime = make_runtime(settings, database, UnheardQueue())
    removes = threading.Event()
    keeper = Housekeeper(
        runtime, [Chore("retention", EVERY, Remover().remove_portion)], removes.is_set
    )
    keeper.start()
    for line in sys.stdin.buffer:
        if line == GO_ON:
            removes.set()
        else:
            removes.clear()
    keeper.stop()
    database.dispose()


MEASUREMENT = Measurement("retention", (LOSS,), run)

if __name__ == "__main__":
    main()
