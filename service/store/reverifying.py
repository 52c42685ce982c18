"""Refused requests that are verified again, and the deliveries they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from schemas.reverifying import ReverifyQuestion
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow, RejectionRow
from service.store.keys import DELIVERIES, DeliveryKey, has_key_of, store_once
from service.store.listing import between, equal, sent_to

Key = DeliveryKey

IN_VAIN = (DeliveryState.DEAD, DeliveryState.UNCONFIRMED)
"""What has ended so is tried anew when it comes again, as at the door (arrivals.py)."""
_AFRESH = {
    "state": DeliveryState.RECEIVED,
    "failures": 0,
    "rings": 0,
    "losses": 0,
    "error": None,
    "fault": None,
}


class Stored(NamedTuple):
    """A delivery that has a key already, and the request it was accepted from later, if any."""

    id: UUID
    rejection_id: UUID | None


class Candidate(NamedTuple):
    """A request that may be verified again, and how large its body is."""

    id: UUID
    body_bytes: int


def find_candidates(
    session: Session, question: ReverifyQuestion, *, after: UUID | None, limit: int
) -> list[Candidate]:
    """Give the requests that are asked for, in the order in which they came.

    Those that were accepted before are left out, unless they are asked for by id.
    """
    ident = col(RejectionRow.id)
    is_open = col(RejectionRow.delivery_id).is_(None)
    conditions = [
        is_open if question.ids is None else ident.in_(question.ids),
        *sent_to(question.source),
        *equal(RejectionRow.reason, question.reason),
        *between(RejectionRow.received_at, question),
        *([] if after is None else [ident > after]),
    ]
    found = session.exec(
        select(RejectionRow.id, func.length(RejectionRow.body))
        .where(*conditions)
        .order_by(ident)
        .limit(limit)
    )
    return [Candidate(*row) for row in found]


def read_rejections(session: Session, ids: Sequence[UUID]) -> Sequence[RejectionRow]:
    """Give these, in the order in which they came; those that are gone are missing."""
    ident = col(RejectionRow.id)
    return session.exec(select(RejectionRow).where(ident.in_(ids)).order_by(ident)).all()


def find_stored(session: Session, keys: Sequence[Key]) -> dict[Key, Stored]:
    """Give the deliveries that are stored under these keys."""
    if not keys:
        return {}
    found = session.execute(
        sa_select(
            col(DeliveryRow.source_id),
            col(DeliveryRow.delivery_key),
            col(DeliveryRow.id),
            col(DeliveryRow.rejection_id),
        ).where(has_key_of(session, DELIVERIES, keys))
    )
    return {(row[0], row[1]): Stored(row[2], row[3]) for row in found}


def store_deliveries(session: Session, rows: Sequence[DeliveryRow]) -> set[UUID]:
    """Store deliveries whose keys are new; give the ids of these."""
    # In the order of the receivers' groups, so that nobody waits in a circle.
    ordered = sorted(rows, key=lambda row: (row.delivery_key, row.source_id))
    return store_once(session, DELIVERIES, ordered)


def revive(session: Session, ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Let those of these deliveries be tried anew that ended without an event; give them."""
    statement = (
        update(DeliveryRow)
        .where(col(DeliveryRow.id).in_(ids), col(DeliveryRow.state).in_(IN_VAIN))
        .values(**_AFRESH, due_at=now)
        .returning(col(DeliveryRow.id))
        .execution_options(synchronize_session=False)
    )
    return list(session.execute(statement).scalars())


def note_accepted(session: Session, deliveries: Mapping[UUID, UUID], now: datetime) -> None:
    """Note of requests (by id) which deliveries they are."""
    for rejection, delivery in deliveries.items():
        session.execute(
            update(RejectionRow)
            .where(col(RejectionRow.id) == rejection, col(RejectionRow.delivery_id).is_(None))
            .values(delivery_id=delivery, accepted_at=now)
            .execution_options(synchronize_session=False)
        )
