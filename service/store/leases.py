"""Leases: who may do what only one may do at a time, for a limited time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, delete

from schemas.upkeep_tables import LeaseRow

RUNG_AFTER = timedelta(milliseconds=250)
"""So long after a lease has run out it is rung for: it must be over by everybody's clock."""


def acquire(session: Session, name: str, owner: str, *, now: datetime, ttl: timedelta) -> bool:
    """Take or keep a lease. False when somebody else holds it."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    values = {"name": name, "owner": owner, "until": now + ttl}
    statement = (
        dialect.insert(LeaseRow)
        .values(values)
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": owner, "until": now + ttl},
            where=or_(col(LeaseRow.owner) == owner, col(LeaseRow.until) < now),
        )
        .returning(col(LeaseRow.name))
    )
    return session.execute(statement).scalar_one_or_none() is not None


def release(session: Session, name: str, owner: str) -> None:
    """Give a lease back; nothing happens when it is not ours any more."""
    session.execute(
        delete(LeaseRow).where(col(LeaseRow.name) == name, col(LeaseRow.owner) == owner)
    )


def extend(session: Session, owners: Sequence[str], *, now: datetime, ttl: timedelta) -> set[str]:
    """Keep all leases of these owners for another `ttl`; gives which have one."""
    kept = session.execute(
        update(LeaseRow)
        .where(col(LeaseRow.owner).in_(owners))
        .values(until=now + ttl)
        .returning(col(LeaseRow.owner))
        .execution_options(synchronize_session=False)
    )
    return set(kept.scalars())


def free_all(session: Session) -> None:
    """Forget every lease: whoever had one is known to be gone."""
    session.execute(delete(LeaseRow))
