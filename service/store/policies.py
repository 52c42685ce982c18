"""What the configuration says of the installation as a whole, and how far that was carried out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from schemas.upkeep_tables import PolicyRow


def read_policy(session: Session, name: str, *, to_write: bool = False) -> dict[str, Any] | None:
    """Give what is said under this name; None when nothing is.

    `to_write`: nobody else says anything else before the transaction ends.
    """
    row = session.get(PolicyRow, name, populate_existing=True, with_for_update=to_write or None)
    return None if row is None else dict(row.value)


def set_policy(session: Session, name: str, value: Mapping[str, Any], *, now: datetime) -> None:
    """Say this under the name, whatever was said before."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    said = {"value": dict(value), "updated_at": now}
    session.execute(
        dialect.insert(PolicyRow)
        .values(name=name, **said)
        .on_conflict_do_update(index_elements=["name"], set_=said)
    )
