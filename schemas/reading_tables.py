"""The tables that rows are found and counted by. Triggers of the database fill them.

Migration 0006 makes the triggers, and what else only a database has: the words of events, and the
indexes `KEPT_BESIDE`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, text
from sqlmodel import Field

from schemas.columns import NAME_LENGTH, STATE_LENGTH, Table, UtcTime, text_column, time_column

ODD_TIMES = "ix_{table}_odd_times"
"""The index of rows whose ids tell another time than they do, of each table that lists narrow by
time."""
_WORDS_OF_EVENTS = ("event_numbers", "event_words")
"""What the names of tables begin with that only SQLite has, for the words of events."""
KEPT_BESIDE = frozenset(
    {
        "words",
        "ix_events_words",
        "ix_events_vendor_source_type_id",
        *(
            ODD_TIMES.format(table=table)
            for table in ("events", "deliveries", "runs", "effects", "audit_events", "alerts")
        ),
    }
)
"""Columns and indexes that no table of ours declares."""


def is_declared(name: str | None) -> bool:
    """Say whether a table, column or index of a database must be as METADATA says."""
    return name is None or not (name in KEPT_BESIDE or name.startswith(_WORDS_OF_EVENTS))


def _counted() -> Any:
    return text_column(default="", primary_key=True)


def _empty(length: int = NAME_LENGTH) -> Any:
    return text_column(length, sa_column_kwargs={"server_default": text("''")})


class KindRow(Table, table=True):
    """A combination of values that rows of a list have or had.

    Of `events`: vendor, source, type; of `deliveries`: vendor, source; of `effects`: action,
    connection; of `audit_events`: action, by whom.
    """

    __tablename__ = "kinds"

    listed: str = text_column(STATE_LENGTH, primary_key=True)
    one: str = _counted()
    two: str = _counted()
    three: str = _counted()


class StatisticRow(Table, table=True):
    """How much there was of a kind in an hour or a day (`span`) that begins then.

    `counted` are `events` (by source, vendor and type), `deliveries` that were read (by source,
    vendor and the state they came to) or `runs` (by workflow, and that they have `begun` or how
    they ended).
    """

    __tablename__ = "statistics"

    span: str = text_column(4, primary_key=True)
    begins: datetime = Field(sa_type=UtcTime, primary_key=True)
    counted: str = text_column(STATE_LENGTH, primary_key=True)
    source: str = _counted()
    vendor: str = _counted()
    type: str = _counted()
    workflow: str = _counted()
    state: str = text_column(STATE_LENGTH, default="", primary_key=True)
    count: int = Field(sa_type=BigInteger)


class TallyRow(Table, table=True):
    """Something that was counted within its own transaction and is not in `statistics` yet.

    So nobody waits for a row that others count in as well. A chore adds them up.
    """

    __tablename__ = "tallies"

    id: int = Field(sa_type=BigInteger, primary_key=True)
    begins: datetime = time_column()
    counted: str = text_column(STATE_LENGTH)
    source: str = _empty()
    vendor: str = _empty()
    type: str = _empty()
    workflow: str = _empty()
    state: str = _empty(STATE_LENGTH)
    count: int = Field(sa_type=BigInteger)
