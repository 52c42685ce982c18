"""Retention of partitions (PostgreSQL): one whose time is over goes as a whole.

Nothing goes here that would not go singly. The rows are gone through a portion at a time: whether
each may go, and whether it is as it was sealed. What was seen is remembered by this process alone.
At the end, in one transaction in which nobody writes into the partition, it is found that no row
was written since, the removal of all rows is signed, and the partition is dropped. Where one row
must stay, its neighbours go singly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import structlog

from schemas.ids import first_id
from schemas.partitioned import PARTITIONED
from service.db import Session
from service.errors import Transient
from service.leaves import COVERED
from service.removals import has_seals, note_removed_places, places_of
from service.runtime import Runtime
from service.store import partitions as store
from service.store.partitions import NO_ID, Partition
from service.store.retention import Kind, all_over, find_going

log = structlog.get_logger(__name__)

LARGE_BYTES = 32 * 1024 * 1024
"""From this size on a partition of a day goes as a whole, and its rows wait for its end."""
ROWS_AT_ONCE = 2000
MOST_AT_ONCE = 20_000
"""Of rows that no seal covers, and that nobody needs to know singly."""
MOST_TRIES = 3
"""How often a partition is gone through in which somebody writes meanwhile."""
MOST_HELD = 4
"""How often in a round it is tried to drop a partition that others read. Everybody who needs the
table waits behind each try for a moment."""
_SEALED = frozenset(table.name for table in COVERED)


class WrittenMeanwhileError(Transient):
    """Somebody wrote into a partition that was about to go."""

    code = "written_meanwhile"


class Looked(NamedTuple):
    """The ids of the rows that were looked at and may go, or that there are no more rows."""

    ids: Sequence[UUID] = ()
    to_end: bool = False


@dataclass(slots=True)
class _Look:
    """What was seen of a partition since a moment: up to which id, and how many rows.

    `sealed`: whether anything was sealed then; `ids`: whether the caller asked for the rows' ids.
    `places` are those of its rows in their seals.
    """

    partition: Partition
    since: int
    sealed: bool
    ids: bool
    after: UUID = NO_ID
    rows: int = 0
    places: dict[int, set[int]] = field(default_factory=dict)


class Wholes:
    """Which partitions go as a whole, and how far the one at hand was gone through.

    `large_bytes`: smaller ones are left to be removed singly.
    """

    def __init__(self, *, large_bytes: int = LARGE_BYTES) -> None:
        self._large_bytes = large_bytes
        self._singly: set[str] = set()
        self._look: _Look | None = None
        self._tries = 1
        self._held = 0
        self._set_aside: dict[str, _Look] = {}

    def begin_round(self) -> None:
        """Forget which partitions could not go as a whole."""
        self._singly.clear()

    def next(self, session: Session, kind: Kind, after: UUID, before: datetime) -> Partition | None:
        """Give the next partition behind an id that goes as a whole, now or when its time is over.

        Rows between the id and this partition go singly, and so do all when there is none.
        """
        if kind.name not in PARTITIONED or not store.is_partitioned(session):
            return None
        for partition in store.partitions_of(session, kind.name):
            if partition.last <= after or partition.name in self._singly:
                continue
            if partition.is_of_a_day and partition.size_bytes >= self._large_bytes:
                return partition
            # What was emptied row by row.
            if partition.behind <= first_id(before) and not store.next_ids(session, partition):
                return partition
        return None

    def look_on(
        self, session: Session, kind: Kind, partition: Partition, before: datetime, *, ids: bool
    ) -> Looked:
        """Look at the next rows of a partition. Whoever fails with them must `forget` all of it.

        `ids`: whether the caller needs them. Without them, and where no seal covers the rows, many
        are looked at together.
        """
        look = self._look
        if look is None or look.partition.name != partition.name:
            look = self._look = self._set_aside.pop(partition.name, None)
        if look is None or look.ids != ids:
            sealed = kind.name in _SEALED and has_seals(session)
            look = self._look = _Look(partition, store.moment(session), sealed, ids)
        if not (ids or look.sealed or kind.unneeded):
            return self._look_at_many(session, kind, look, before)
        page = store.next_ids(session, partition, look.after, ROWS_AT_ONCE)
        if not page:
            return Looked(to_end=True)
        places = places_of(session, kind.name, page) if look.sealed else {}
        if places is None or len(find_going(session, kind, page, before)) < len(page):
            self.give_up(partition)
            return Looked()
        for number, some in places.items():
            look.places.setdefault(number, set()).update(some)
        look.rows += len(page)
        look.after = page[-1]
        return Looked(page)

    def _look_at_many(self, session: Session, kind: Kind, look: _Look, before: datetime) -> Looked:
        rows = store.next_rows(session, look.partition, look.after, MOST_AT_ONCE)
        if rows is None:
            return Looked(to_end=True)
        if not all_over(session, kind, look.after, rows.last, before):
            self.give_up(look.partition)
            return Looked()
        look.rows += rows.number
        look.after = rows.last
        return Looked()

    def drop(self, runtime: Runtime, session: Session, kind: Kind) -> int:
        """Drop the partition that was looked at to its end; gives how many rows it had.

        Raises WrittenMeanwhileError, SealsChangedError, StillNeededError, and what the database
        says when others have the table (store.is_locked).
        """
        look = self._look
        assert look is not None  # noqa: S101  # for the type checker
        store.hold(session, look.partition)
        if store.count_rows(session, look.partition, look.since) != (look.rows, 0):
            raise WrittenMeanwhileError
        if look.rows and kind.name in _SEALED:
            note_removed_places(runtime, session, look.places)
        store.drop(session, kind.name, look.partition)
        return look.rows

    def forget(self) -> None:
        """Forget what was seen of a partition."""
        self._look = None
        self._tries = 1
        self._held = 0

    def is_held(self, partition: Partition) -> bool:
        """Note that others had the table; says whether to leave the partition to the next round.

        What was seen of it is kept for that: its rows are not archived once more.
        """
        self._held += 1
        if self._held < MOST_HELD:
            return False
        log.warning(
            "partition_held",
            partition=partition.name,
            hint="a transaction that has read it is still open, a dump perhaps (pg_stat_activity);"
            " the next round tries again",
        )
        if self._look is not None:
            self._set_aside[partition.name] = self._look
        self.forget()
        return True

    def begin_anew(self, partition: Partition) -> None:
        """Go through a partition once more from its beginning, a few times at most."""
        self._look = None
        self._tries += 1
        if self._tries > MOST_TRIES:
            self.give_up(partition)

    def give_up(self, partition: Partition) -> None:
        """Let the rows of a partition go singly in this round."""
        log.info("partition_not_dropped", partition=partition.name)
        self._singly.add(partition.name)
        self.forget()
