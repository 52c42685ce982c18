"""What tamper evidence costs: sealing, what it stores, what the door loses, and verifying.

`python -m bench.sealing` prints Markdown tables; see README.md for the method. It ends with 1 when
a byte that was altered among all the rows is not found.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from bench.door_app import DoorApp
from bench.figures import Context
from bench.machine import describe
from bench.payload import BODY, HEADERS
from bench.receivers import by_uvicorn
from bench.rounds import Round, load_round
from bench.servers import Servers
from schemas.clock import utc_now
from schemas.ids import first_id
from schemas.tables import METADATA, DeliveryRow
from service import sealing
from service.db import Database
from service.door_answers import Send
from service.door_request import Receive, headers_as_json
from service.evidence import verify
from service.evidence_report import Question, Summary, What
from service.queue import UnheardQueue
from service.runtime import Runtime, make_runtime
from service.settings import Settings
from workers.chores import Chore, Housekeeper

AGO = timedelta(minutes=30)
A_MILLISECOND = 20
"""Deliveries that came in the same one."""
AT_ONCE = 5_000
CONTENDERS = {
    "door alone": "bench.door_app:make_app",
    "door, and sealing beside it": "bench.sealing:make_app",
}


@dataclass(frozen=True)
class Cost:
    """What sealing and verifying so many deliveries took."""

    database: str
    rows: int
    sealing_us: float
    """Of this process's processor, for each delivery."""
    longest_portion_ms: float
    stored_bytes: float
    """For each delivery."""
    verify_s: float
    verify_cpu_s: float
    found: bool


class SealingDoorApp(DoorApp):
    """The door with sealing in its process, as `hookwright up` has it, and far more eager."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        sealing.HORIZON, sealing.GATHER = timedelta(seconds=1), timedelta()
        chore = Chore("sealing", timedelta(seconds=1), sealing.seal_rows)
        self._keeper = Housekeeper(_runtime(self._database, data_dir), [chore], lambda: True)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Hand requests to the door; seal for as long as it is open."""
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return
        self._keeper.start()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._keeper.stop()


def make_app() -> SealingDoorApp:
    """Build the application from the environment."""
    return SealingDoorApp(Path(tempfile.mkdtemp(prefix="hookwright-bench-")))


def _runtime(database: Database, data_dir: Path) -> Runtime:
    settings = Settings(data_dir=data_dir, secret_keys=("bench-key-" + "0" * 30,))
    return make_runtime(settings, database, UnheardQueue())


def fill(database: Database, rows: int) -> None:
    """Store deliveries as the door does, half an hour ago."""
    METADATA.create_all(database.engine)
    moment = utc_now() - AGO
    first = first_id(moment).int
    dice = random.Random(1)  # noqa: S311  # not for secrets
    kept = DeliveryRow.__table__  # type: ignore[attr-defined]  # set by SQLModel
    for start in range(0, rows, AT_ONCE):
        values = [
            {
                "id": UUID(int=first + (number // A_MILLISECOND << 80) + dice.getrandbits(62)),
                "source_id": UUID(int=1),
                "source": "github",
                "vendor": "github",
                "delivery_key": str(number),
                "received_at": moment,
                "headers": [list(item) for item in HEADERS * 3],
                "body": b"%d:%b" % (number, BODY),
                "state": "ingested",
                "failures": 0,
            }
            for number in range(start, min(rows, start + AT_ONCE))
        ]
        with database.session() as session:
            session.connection().execute(insert(kept), values)
            if database.is_sqlite:
                _write_as_the_door(session.connection())
            session.commit()


def _write_as_the_door(connection: Any) -> None:
    # The door writes JSON without blanks, and reading what is written otherwise costs more.
    headers = headers_as_json(HEADERS * 3, ()).decode()
    connection.exec_driver_sql("UPDATE deliveries SET headers = ?", (headers,))


def cost_of(kind: str, database: Database, rows: int, data_dir: Path) -> Cost:
    """Seal and verify; then alter one byte of one delivery, and verify again."""
    fill(database, rows)
    runtime = _runtime(database, data_dir)
    began, longest = time.process_time(), 0.0
    while True:
        portion = time.perf_counter()
        if not sealing.seal_rows(runtime, share=1.0):
            break
        longest = max(longest, time.perf_counter() - portion)
    sealing_us = (time.process_time() - began) / rows * 1e6
    began, began_cpu = time.perf_counter(), time.process_time()
    summary = Summary()
    whole = list(verify(database, Question(), summary)) == []
    verify_s, verify_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    whole = whole and summary.tables["deliveries"].sealed == rows
    with database.session() as session:
        connection = session.connection()
        lengths = "length(leaves) + length(root) + length(previous) + length(signature) + 200"
        stored = connection.execute(text(f"SELECT sum({lengths}) FROM seals")).scalar_one()  # noqa: S608  # above
        key = str(random.Random(2).randrange(rows))  # noqa: S311  # not for secrets
        changed = b"%s:%b" % (key.encode(), BODY.replace(b"checkout", b"checkouu", 1))
        alter = "UPDATE deliveries SET body = :body WHERE delivery_key = :key"
        connection.execute(text(alter), {"body": changed, "key": key})
        session.commit()
    findings = list(verify(database, Question(), Summary()))
    found = whole and [finding.what for finding in findings] == [What.ALTERED]
    return Cost(
        kind, rows, sealing_us, longest * 1e3, float(stored) / rows, verify_s, verify_cpu_s, found
    )


def door_rates(
    kind: str, servers: Servers, rounds: int, seconds: int
) -> Iterator[tuple[str, Round, int]]:
    """Give the door's rates, alone and with sealing in turns, and how many rows were sealed."""
    context = Context(servers, seconds=seconds)
    for _ in range(rounds):
        for name, application in CONTENDERS.items():
            with servers.database(kind) as url:
                with by_uvicorn(application, url, servers.fresh_redis(), "deliveries") as running:
                    one = load_round(context, running)
                yield name, one, _sealed(url)


def _sealed(url: str) -> int:
    database = Database(url)
    try:
        with database.session(read_only=True) as session:
            found = session.connection().execute(text("SELECT sum(count) FROM seals")).scalar_one()
            return int(found or 0)
    finally:
        database.dispose()


@contextmanager
def opened(servers: Servers, kind: str) -> Iterator[Database]:
    """Give a fresh database."""
    with servers.database(kind) as url:
        database = Database(url)
        try:
            yield database
        finally:
            database.dispose()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--database", choices=["postgres", "sqlite"], action="append")
    options = parser.parse_args()
    kinds = options.database or ["postgres", "sqlite"]
    with Servers() as servers:
        return _measure(servers, kinds, options)


def _measure(servers: Servers, kinds: list[str], options: argparse.Namespace) -> int:
    costs = []
    for kind in kinds:
        with opened(servers, kind) as database, tempfile.TemporaryDirectory() as folder:
            costs.append(cost_of(kind, database, options.rows, Path(folder)))
    print(
        "| Database | Deliveries | Sealing, µs each | At 1,000 /s, of a core | Longest portion "
        "| Stored, bytes each | Verify | One altered byte |\n|---|---|---|---|---|---|---|---|"
    )
    for cost in costs:
        print(
            f"| {cost.database} | {cost.rows:,} | {cost.sealing_us:.0f} "
            f"| {cost.sealing_us / 10:.1f} % | {cost.longest_portion_ms:.0f} ms "
            f"| {cost.stored_bytes:.0f} | {cost.verify_s:.1f} s ({cost.verify_cpu_s:.1f} s CPU) "
            f"| {'found' if cost.found else 'NOT FOUND'} |"
        )
    print(
        "\n| Database | Receiver | Deliveries/s | Ratio | Sealed meanwhile |\n|---|---|---|---|---|"
    )
    for kind in kinds if options.rounds else ():
        _tell_rates(kind, list(door_rates(kind, servers, options.rounds, options.seconds)))
    print(f"\n{describe()}")
    return 0 if all(cost.found for cost in costs) else 1


def _tell_rates(kind: str, runs: list[tuple[str, Round, int]]) -> None:
    alone = 0.0
    for name in CONTENDERS:
        rate = statistics.median(one.rate for contender, one, _ in runs if contender == name)
        sealed = sum(count for contender, _, count in runs if contender == name)
        alone = alone or rate
        print(f"| {kind} | {name} | {rate:,.0f} | {rate / alone:.2f} | {sealed:,} |")


if __name__ == "__main__":
    sys.exit(main())
