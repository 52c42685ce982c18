"""What the door loses while a million old deliveries are removed.

They stand in the partition of a day that is over, in two databases alike. The door of one is loaded
again and again with a process beside it, on the same processor, that does nothing but remove, until
the last of them and of their keys are gone and their places are cleared away; that of the other,
before and after, for minutes as well and with nobody beside it. For under a load that lasts,
PostgreSQL writes out and clears away what comes in, which no round at the beginning meets.

Run as a process (`python -m bench.removing`), it is the one that removes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg

from bench.figures import Context, Figure, Measurement, Unit, Wanted
from bench.filling import DAY, Filler, filling, make_days, midnight
from bench.installation import Installation, new_installation
from bench.loading import Load, send
from bench.machine import SYSTEM_CPU, on_cpu
from bench.payload import body_of
from bench.processor_time import seconds
from bench.receivers import Running
from bench.rounds import Round, load_round
from schemas.clock import utc_now
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
AGE = 60 * DAY
BODY_BYTES = 512
EVERY = timedelta(seconds=1)
LONGEST_S, QUICK_LONGEST_S = 600.0, 8.0
STOP_S = 30.0
ALONE_TIMES = 4
"""So many times as many rounds as are asked for are made alone before, and as many after."""


def run(context: Context) -> Iterator[Figure]:
    """Load one alone, the other until everything is removed, and the one once more."""
    rows = QUICK_ROWS if context.quick else ROWS
    with _filled(context, rows) as untouched, _filled(context, rows) as installation:
        url = installation.database_url
        alone = _alone(context, untouched)
        beside: list[Round] = []
        with _loaded(installation) as running, _removing(installation) as remover:
            began, longest = time.monotonic(), QUICK_LONGEST_S if context.quick else LONGEST_S
            while _left(url) and time.monotonic() - began < longest:
                beside.append(_round(context, running, "beside removing", len(beside)))
            took, left = time.monotonic() - began, _left(url)
            used = seconds([remover.pid])
            # What is left for the database to clear away belongs to the removing.
            clearing = threading.Thread(target=_clear_away, args=(url,))
            clearing.start()
            while clearing.is_alive():
                beside.append(_round(context, running, "beside clearing away", len(beside)))
        alone += _alone(context, untouched)
        context.note("retention/removed", rows=rows, left=left, seconds=took, cpu=used)
    rate = statistics.median(one.rate for one in alone)
    losses = [(1 - one.rate / rate) * 100 for one in beside]
    faults = {one.void for one in (*alone, *beside)} - {""}
    if left and not context.quick:
        faults.add(f"{left:,} rows and keys were still there at the end")
    void = "; ".join(sorted(faults))
    note = (
        f"{2 * rows - left:,} of {2 * rows:,} rows and keys went in {took:.0f} s;"
        f" the worst round: {max(losses):.0f} %"
    )
    yield Figure(LOSS, losses, void=void, note=note)


def _alone(context: Context, installation: Installation) -> list[Round]:
    with _loaded(installation) as running:
        rounds = ALONE_TIMES * context.rounds
        return [_round(context, running, "alone", number) for number in range(rounds)]


@contextmanager
def _loaded(installation: Installation) -> Iterator[Running]:
    with installation.running("serve") as process:
        yield Running(
            installation.port,
            database_url=installation.database_url,
            table=f"deliveries WHERE id >= '{first_id(utc_now())}'",
            pid=process.pid,
        )


def _round(context: Context, running: Running, name: str, number: int) -> Round:
    one = load_round(context, running)
    return one.noted(context, f"retention/{name}", round=number + 1)


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


def _left(url: str) -> int:
    """Count the old rows, and those of their keys, that are still there."""
    bound = first_id(midnight() - AGE + DAY)
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM deliveries WHERE id < %(bound)s)"
            " + (SELECT count(*) FROM delivery_keys WHERE row_id < %(bound)s)",
            {"bound": bound},
        ).fetchone()
    assert found is not None
    return int(found[0])


def _clear_away(url: str) -> None:
    """Do at once, and as gently, what autovacuum would do within the next minute."""
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("SET vacuum_cost_delay = '2ms'")
        connection.execute("VACUUM delivery_keys")


@contextmanager
def _removing(installation: Installation) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as log:
        with on_cpu(SYSTEM_CPU):
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.removing"],
                cwd=installation.directory,
                env=installation.environment(),
                stdout=log,
                stderr=log,
            )
        try:
            yield process
            if process.poll() is not None:
                log.seek(0)
                message = f"removing ended: {log.read()[-2000:].decode(errors='replace')}"
                raise RuntimeError(message)
        finally:
            process.terminate()
            process.wait(STOP_S)


def main() -> None:
    """Remove what is over until a signal comes, as the leading worker does, and nothing else."""
    settings = load_settings()
    Path(os.environ["HOOKWRIGHT_DATA_DIR"]).mkdir(parents=True, exist_ok=True)
    database = Database(settings.effective_database_url)
    runtime = make_runtime(settings, database, UnheardQueue())
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    keeper = Housekeeper(
        runtime, [Chore("retention", EVERY, Remover().remove_portion)], lambda: True
    )
    keeper.start()
    stopping.wait()
    keeper.stop()
    database.dispose()


MEASUREMENT = Measurement("retention", (LOSS,), run)

if __name__ == "__main__":
    main()
