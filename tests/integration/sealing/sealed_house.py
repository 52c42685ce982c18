"""An installation whose deliveries and audit events are sealed, and what tampers with it."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from schemas.evidence_tables import AuditEventRow
from schemas.ids import first_id
from schemas.tables import DeliveryRow
from service.db import Database
from service.evidence import verify
from service.evidence_report import Finding, Question, Summary
from service.leaves import COVERED
from service.removals import note_removed
from service.sealing import CLOSED, LATE, seal_rows
from service.store.covered import rows_between
from service.store.keys import forget_keys
from service.unit_of_work import reading, unit_of_work
from tests.integration.engine.installation import START, Installation


class SealedHouse(Installation):
    """An installation that receives rows at times the test says, and seals them."""

    def receive(
        self, count: int = 1, *, at: datetime | None = None, seed: int = 0
    ) -> list[DeliveryRow]:
        """Store deliveries whose ids were made at a time, in bulk."""
        dice = random.Random(seed)  # noqa: S311  # not for secrets
        moment = at or self.now
        rows = [
            DeliveryRow(
                id=id_at(moment),
                source_id=self.source_id,
                source="robot",
                vendor="robot",
                delivery_key=f"{moment.timestamp()}-{number}-{secrets.token_hex(4)}",
                received_at=moment,
                headers=[["content-type", "application/json"], ["x-name", "Zoë ü"]],
                body=dice.randbytes(200),
            )
            for number in range(count)
        ]
        self.store(*rows)
        return sorted(rows, key=lambda row: row.id)

    def act(self, **details: Any) -> AuditEventRow:
        """Store an audit event."""
        row = AuditEventRow(
            id=id_at(self.now),
            at=self.now,
            by="ann",
            role="operator",
            action="run.cancel",
            subject="r1",
            details=details,
        )
        self.store(row)
        return row

    def seal(self, *, after: timedelta = timedelta(minutes=5)) -> int:
        """Let time pass and seal what is ripe; gives how many batches these were."""
        self.now += after
        batches = 0
        while seal_rows(self.runtime, share=1.0):
            batches += 1
        return batches

    def close(self) -> None:
        """Let everything that is there be looked through for the last time."""
        self.seal()
        self.seal(after=LATE.after + LATE.gather)
        self.seal(after=CLOSED.after + CLOSED.gather)

    def remove(self, ids: Sequence[UUID]) -> None:
        """Remove deliveries as retention does."""
        with unit_of_work(self.database, self.bell) as work:
            gone = note_removed(self.runtime, work.session, "deliveries", ids)
            forget_keys(work.session, "deliveries", gone)
            for id_ in gone:
                work.session.delete(work.session.get_one(DeliveryRow, id_))

    def verify(self, question: Question | None = None) -> tuple[list[Finding], Summary]:
        """Give everything that is wrong, and the summary."""
        summary = Summary()
        return list(verify(self.database, question or Question(), summary)), summary

    def tamper(self, statement: str, **values: Any) -> int:
        """Change the database behind our back; gives how many rows that met."""
        with self.database.engine.begin() as connection:
            return connection.execute(text(statement), self._kept(values)).rowcount

    def look_at(self, statement: str, **values: Any) -> Any:
        """Give one value as the database keeps it."""
        with self.database.engine.begin() as connection:
            found = connection.execute(text(statement), self._kept(values)).scalar_one()
        return bytes(found) if isinstance(found, memoryview) else found

    def _kept(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value.hex if isinstance(value, UUID) and self.database.is_sqlite else value
            for name, value in values.items()
        }


def id_at(moment: datetime) -> UUID:
    """Give an id as one made at this time."""
    return UUID(int=first_id(moment).int | secrets.randbits(62))


ODD: tuple[dict[str, Any], ...] = (
    {},
    {"numbers": [0, -1, 2.5, 1e-7, 123456789012345678, -0.125]},
    {"texts": ["", "é", "\u2028", "\U0001f600", "\\", '"', "\n\t\x01"]},
    {"deep": {"z": None, "a": [True, False, {"k": []}]}, "ä": 1, "z": 2, "B": 3},
    {"empty": {}, "list": [[], [[]]]},
)


def hashes_of_odd_rows(database: Database) -> list[bytes]:
    """Store rows whose columns are hard to keep alike, and give their hashes."""
    moments = [START + timedelta(microseconds=n) for n in (0, 1, 120_000, 999_999)]
    rows: list[AuditEventRow | DeliveryRow] = [
        AuditEventRow(
            id=UUID(int=number + 1),
            at=moments[number % len(moments)],
            by="Zoë",
            role="admin",
            action="x.y",
            subject="",
            details=details,
            remote="::1" if number else None,
        )
        for number, details in enumerate(ODD)
    ]
    rows += [
        DeliveryRow(
            id=UUID(int=number + 1),
            source_id=UUID(int=7),
            source="s",
            vendor="v",
            delivery_key="k" + str(number),
            received_at=moment,
            headers=[["x", "a\xff"], ["x", ""], ["é", "\t"]],
            body=bytes(range(256)),
        )
        for number, moment in enumerate(moments)
    ]
    with database.session() as session:
        session.add_all(rows)
        session.commit()
    with reading(database) as session:
        return [row.hash for table in COVERED for row in rows_between(session, table)]
