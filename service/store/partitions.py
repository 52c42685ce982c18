"""Partitions of deliveries and events on PostgreSQL: made ahead, looked through, dropped.

Ids are times, so that a partition holds the rows of some days. Whatever fits into none of them
stands in the partition of the rest, so that no row is ever refused for want of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from schemas.ids import first_id, made_at
from schemas.partitioned import PARTITIONED, rest_of
from service.errors import Permanent

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
AHEAD = timedelta(days=2)
"""Partitions are there for as long, whatever happens to who makes them."""
MANY_A_DAY = 100_000
"""From so many rows a day on a partition is that of a day, which goes as a whole when its time is
over. Fewer rows are removed singly, and more partitions than a handful make every list slower."""
SHORT_LOCK_MS = 100
"""How long others stand behind us when we wait for a table."""
LEFT_PLAIN_BYTES = 4080
"""Up to this size deliveries are kept as they are by a server that has no quick compression: its
own took a third to half of its processor time for a delivery."""
_ALIKE = ("DEFAULTS", "CONSTRAINTS", "GENERATED", "STORAGE", "COMPRESSION")
_BOUND = "(MINVALUE|'[0-9a-f-]{36}')"
_RANGE = re.compile(rf"FOR VALUES FROM \({_BOUND}\) TO \('([0-9a-f-]{{36}})'\)")
NO_ID = UUID(int=0)
_TURN = 1 << 32
"""After so many transactions their short numbers begin anew."""
_LOCK_NOT_AVAILABLE = "55P03"
_STILL_REFERRED_TO = "23503"


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: the ids from `first` on and before `behind`, and its size on disk."""

    name: str
    first: UUID
    behind: UUID
    size_bytes: int

    @property
    def last(self) -> UUID:
        """The last id that it may hold."""
        return UUID(int=self.behind.int - 1)

    @property
    def is_of_a_day(self) -> bool:
        """Whether it holds the rows of one day."""
        return made_at(self.behind) - made_at(self.first) <= DAY


class StillNeededError(Permanent):
    """Rows elsewhere need rows of a partition."""

    code = "still_needed"


class Rows(NamedTuple):
    """Rows that follow one another: how many, and the id of the last."""

    number: int
    last: UUID


class Counted(NamedTuple):
    """How many rows a partition has, and how many of these were written since a moment."""

    rows: int
    newer: int


def is_partitioned(session: Session | Connection) -> bool:
    """Say whether this database has partitions."""
    bind = session.get_bind() if isinstance(session, Session) else session
    return bind.dialect.name == "postgresql"


def partitions_of(session: Session | Connection, table: str) -> list[Partition]:
    """Give the partitions of a table in the order of time, without that of the rest."""
    rows = session.execute(
        text(
            "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid),"
            " pg_total_relation_size(child.oid)"
            " FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid"
            " WHERE inhparent = to_regclass(:parent)"
        ),
        {"parent": table},
    )
    found = []
    for name, bounds, size in rows:
        match = _RANGE.fullmatch(bounds)
        if match is not None:
            first = NO_ID if match[1] == "MINVALUE" else UUID(match[1].strip("'"))
            found.append(Partition(name, first, UUID(match[2]), size))
    return sorted(found, key=lambda partition: partition.first)


def make_ahead(session: Session | Connection, table: str, now: datetime) -> Iterator[str]:
    """Make the partitions of a table that are needed next, and give their names.

    One begins late when rows of its time stand in the rest already. Raises DBAPIError: see
    `is_locked`.
    """
    there = partitions_of(session, table)
    soon = now + AHEAD
    # What a clock that was far ahead has made keeps none from being made until then.
    behind = max(
        [_midnight(now), *(made_at(one.behind) for one in there if made_at(one.first) < soon)]
    )
    far = [made_at(one.first) for one in there if made_at(one.first) >= soon]
    while behind < soon:
        few = there and rows_since(session, table, now - DAY, MANY_A_DAY) < MANY_A_DAY
        until = min([behind + (WEEK if few else DAY), *far])
        last = make_partition(session, table, behind, until)
        if last is None:
            there = partitions_of(session, table)
            yield _name_of(table, behind)
        behind = until if last is None else _midnight(last) + DAY


def make_partition(
    session: Session | Connection, table: str, since: datetime, until: datetime
) -> datetime | None:
    """Make the partition of a time, both ends at midnight UTC.

    None when it was made. Otherwise rows of this time stand in the rest already, and the time of
    the last of them is given. Raises DBAPIError when there is another partition of this time, or
    when others have the table (`is_locked`).
    """
    first, behind = first_id(since), first_id(until)
    _wait_little(session)
    last = session.execute(
        text(
            f"SELECT id FROM {rest_of(table)} WHERE id >= :first AND id < :behind"  # noqa: S608  # ours
            " ORDER BY id DESC LIMIT 1"
        ),
        {"first": first, "behind": behind},
    ).scalar()
    if last is not None:
        return made_at(last)
    name = _name_of(table, since)
    # Attached, and not made in place: so receivers and workers go on meanwhile.
    like = " ".join(f"INCLUDING {what}" for what in _ALIKE)
    plain = _leaving_plain(session, table)
    session.execute(text(f"CREATE TABLE {name} (LIKE {table} {like}){plain}"))
    bounds = f"FROM ('{first}') TO ('{behind}')"
    session.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}"))
    return None


def _name_of(table: str, since: datetime) -> str:
    return f"{table}_{since:%Y%m%d}"


def _leaving_plain(session: Session | Connection, table: str) -> str:
    known = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    if table != "deliveries" or session.execute(text(known)).scalar():
        return ""
    return f" WITH (toast_tuple_target = {LEFT_PLAIN_BYTES})"


def rows_since(session: Session | Connection, table: str, since: datetime, most: int) -> int:
    """Count the rows made since a time, up to so many."""
    counted = f"SELECT 1 FROM {table} WHERE id >= :since LIMIT :most"  # noqa: S608  # ours
    found = session.execute(
        text(f"SELECT count(*) FROM ({counted}) AS rows"),  # noqa: S608  # above
        {"since": first_id(since), "most": most},
    )
    return int(found.scalar_one())


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def is_locked(error: BaseException | None) -> bool:
    """Say whether a statement failed because others had the table."""
    return isinstance(error, DBAPIError) and _state_of(error) == _LOCK_NOT_AVAILABLE


def _state_of(error: DBAPIError) -> object:
    return getattr(error.orig, "sqlstate", None)


# --- a partition that goes as a whole -----------------------------------------------------------


def next_ids(
    session: Session, partition: Partition, after: UUID = NO_ID, limit: int = 1
) -> list[UUID]:
    """Give the next ids of a partition behind an id."""
    found = session.execute(
        text(f"SELECT id FROM {partition.name} WHERE id > :after ORDER BY id LIMIT :limit"),  # noqa: S608  # ours
        {"after": after, "limit": limit},
    )
    return list(found.scalars())


def next_rows(session: Session, partition: Partition, after: UUID, limit: int) -> Rows | None:
    """Give how many rows of a partition follow an id, up to so many, and the last of them."""
    page = f"SELECT id FROM {partition.name} WHERE id > :after ORDER BY id LIMIT :limit"  # noqa: S608  # ours
    # There is no greatest of ids before PostgreSQL 18.
    found = session.execute(
        text(f'SELECT count(*), max(CAST(id AS text) COLLATE "C") FROM ({page}) AS page'),  # noqa: S608  # above
        {"after": after, "limit": limit},
    ).one()
    return Rows(found[0], UUID(found[1])) if found[0] else None


def moment(session: Session) -> int:
    """Give what `count_rows` tells by which rows were written from now on."""
    found = session.execute(text("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)"))
    return int(found.scalar_one())


def hold(session: Session, partition: Partition) -> None:
    """Let nobody write into a partition until this transaction ends. Raises DBAPIError."""
    _wait_little(session)
    session.execute(text(f"LOCK TABLE {partition.name} IN SHARE MODE"))


def count_rows(session: Session, partition: Partition, since: int) -> Counted:
    """Count the rows of a partition that is held, and those that were written since a `moment`.

    By the number of the transaction that wrote a row, which nobody who writes rows can choose. Of
    such a number the table has the lower half alone: what was written just as many transactions
    ago as it takes to come to the same number again is counted as well.
    """
    found = session.execute(text("SELECT CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text)"))
    newer = "(CAST(CAST(xmin AS text) AS bigint) + :ahead) % :turn < :span"
    row = session.execute(
        text(f"SELECT count(*), count(*) FILTER (WHERE {newer}) FROM {partition.name}"),  # noqa: S608  # ours
        {
            "ahead": _TURN - since % _TURN,
            "turn": _TURN,
            "span": int(found.scalar_one()) - since,
        },
    ).one()
    return Counted(*row)


def drop(session: Session, table: str, partition: Partition) -> None:
    """Drop a partition with its rows.

    From here until the transaction ends everybody waits who needs the table. Raises
    StillNeededError, and DBAPIError when others have the table (`is_locked`).
    """
    if table == "events":
        session.execute(
            text(
                "DELETE FROM payloads WHERE id IN"  # noqa: S608  # ours
                f" (SELECT payload_id FROM {partition.name} WHERE payload_id IS NOT NULL)"
            )
        )
    _wait_little(session)
    try:
        session.execute(text(f"ALTER TABLE {table} DETACH PARTITION {partition.name}"))
    except DBAPIError as error:
        if _state_of(error) == _STILL_REFERRED_TO:
            raise StillNeededError from error
        raise
    session.execute(text(f"DROP TABLE {partition.name}"))


def forget_keys_from(session: Session, table: str, first: UUID, behind: UUID, limit: int) -> UUID:
    """Forget some of the keys of rows that are gone; gives the id from which on others are left.

    That is `behind` when none are.
    """
    keys = PARTITIONED[table].name
    # Not the next ones that there are: whoever looks for these goes through all that went before.
    following = session.execute(
        text(
            f"SELECT row_id FROM {keys} WHERE row_id >= :first AND row_id < :behind"  # noqa: S608  # ours
            " ORDER BY row_id OFFSET :limit LIMIT 1"
        ),
        {"first": first, "behind": behind, "limit": limit},
    ).scalar()
    until = behind if following is None else UUID(str(following))
    session.execute(
        text(f"DELETE FROM {keys} WHERE row_id >= :first AND row_id < :until"),  # noqa: S608  # ours
        {"first": first, "until": until},
    )
    return until


def _wait_little(session: Session | Connection) -> None:
    session.execute(text(f"SET LOCAL lock_timeout = {SHORT_LOCK_MS}"))
