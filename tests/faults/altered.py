"""One byte is altered in one of many stored deliveries: `hookwright verify` must say in which."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import insert, select

from schemas.configured_tables import SourceRow
from schemas.ids import first_id
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow
from service.db import Database
from tests import commands
from tests.faults.campaign import Say
from tests.faults.house import OneMachine
from tests.servers import wait_until

AGO = timedelta(hours=1)
"""When the deliveries came: rows are sealed some minutes later."""
AT_A_TIME = 2_000
SINGLY = 3
TOGETHER = 20
SEALED_WITHIN_S = 300.0
VERIFY_WITHIN_S = 300.0


@dataclass
class Shown:
    """What was seen."""

    deliveries: int
    alterations: int = 0
    told: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def find_alterations(seed: int, deliveries: int, say: Say) -> Shown:
    """Store so many deliveries, let them be sealed, and alter a byte here and there."""
    chance = random.Random(f"altered {seed}")  # noqa: S311  # it must repeat itself
    shown = Shown(deliveries)
    with OneMachine() as site:
        ids = store_deliveries(site.database_url(), deliveries, chance)
        began = time.monotonic()
        _wait_sealed(site, deliveries)
        say(f"{deliveries:,} deliveries sealed after {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        _expect(site, [], shown)
        shown.told.append(f"verified in {time.monotonic() - began:.1f} s")
        for _ in range(SINGLY):
            _alter_and_verify(site, [chance.choice(ids)], chance, shown)
        _alter_and_verify(site, chance.sample(ids, min(TOGETHER, len(ids))), chance, shown)
    shown.told.append(f"{shown.alterations} altered bytes, each found")
    return shown


def store_deliveries(database_url: str, count: int, chance: random.Random) -> list[UUID]:
    """Store deliveries as if they had come an hour ago; gives their ids."""
    database = Database(database_url)
    ids = []
    try:
        with database.session() as session:
            source = session.exec(select(SourceRow).where(SourceRow.name == "elsewhere")).one()
            for portion in _portions(source, count, chance):
                session.execute(insert(DeliveryRow), portion)
                ids += [UUID(str(row["id"])) for row in portion]
            session.commit()
    finally:
        database.dispose()
    return ids


def _portions(
    source: SourceRow, count: int, chance: random.Random
) -> Iterator[list[dict[str, object]]]:
    since = datetime.now(UTC) - AGO
    portion: list[dict[str, object]] = []
    for number in range(count):
        at = since + timedelta(milliseconds=number * 10)
        id_ = UUID(int=first_id(at).int | chance.getrandbits(60))
        body = b'{"type":"stored","subject":"%d","data":{"noise":"%x"}}'
        portion.append(
            {
                "id": id_,
                "source_id": source.id,
                "source": source.name,
                "vendor": source.vendor,
                "delivery_key": f"stored-{number}",
                "received_at": at,
                "headers": [["content-type", "application/json"], ["webhook-id", str(number)]],
                "body": body % (number, chance.getrandbits(2_000)),
                "state": DeliveryState.INGESTED.value,
                "failures": 0,
                "replays": 0,
            }
        )
        if len(portion) == AT_A_TIME or number + 1 == count:
            yield portion
            portion = []


def _wait_sealed(site: OneMachine, count: int) -> None:
    database = Database(site.database_url())

    def sealed() -> bool:
        with database.engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT coalesce(sum(count), 0) FROM seals WHERE covers = 'deliveries'"
            )
            return int(found.scalar_one()) >= count

    try:
        wait_until(sealed, SEALED_WITHIN_S, what=f"{count} deliveries are sealed")
    finally:
        database.dispose()


def _alter_and_verify(
    site: OneMachine, ids: list[UUID], chance: random.Random, shown: Shown
) -> None:
    before = {id_: _flip(site, id_, chance) for id_ in ids}
    shown.alterations += len(ids)
    _expect(site, ids, shown)
    with closing(sqlite3.connect(_file(site))) as connection, connection:
        for id_, body in before.items():
            connection.execute("UPDATE deliveries SET body = ? WHERE id = ?", (body, id_.hex))


def _flip(site: OneMachine, id_: UUID, chance: random.Random) -> bytes:
    """Alter one byte of a body; gives the body as it was."""
    with closing(sqlite3.connect(_file(site))) as connection, connection:
        (body,) = connection.execute(
            "SELECT body FROM deliveries WHERE id = ?", (id_.hex,)
        ).fetchone()
        altered = bytearray(body)
        altered[chance.randrange(len(altered))] ^= chance.randrange(1, 256)
        connection.execute("UPDATE deliveries SET body = ? WHERE id = ?", (bytes(altered), id_.hex))
    return bytes(body)


def _expect(site: OneMachine, ids: Iterable[UUID], shown: Shown) -> None:
    """Verify; exactly these rows must be told."""
    done = commands.run(
        ("verify",),
        cwd=site.directory,
        env=site.house.environment_of("up"),
        timeout=VERIFY_WITHIN_S,
    )
    wanted = {str(id_) for id_ in ids}
    missed = [id_ for id_ in wanted if id_ not in done.stdout]
    if missed:
        shown.wrong.append(f"verify does not tell of {missed}: {done.stdout[-500:]}")
    if (done.returncode == 0) != (not wanted):
        shown.wrong.append(f"verify ended with {done.returncode}: {done.stdout}{done.stderr}")


def _file(site: OneMachine) -> str:
    return str(site.directory / "data" / "hookwright.db")
