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
from uuid import UUID

import structlog

from schemas.ids import first_id
from schemas.partitioned import PARTITIONED
from service.db import Session
from service.errors import Transient
from service.leaves import COVERED
from service.removals import note_removed_places, places_of
from service.runtime import Runtime
from service.store import partitions as store
from service.store.partitions import NO_ID, Partition
from service.store.retention import Kind, all_go

log = structlog.get_logger(__name__)

LARGE_BYTES = 32 * 1024 * 1024
"""From this size on a partition of a day goes as a whole, and its rows wait for its end."""
ROWS_AT_ONCE = 2000
MOST_TRIES = 3
"""How often a partition is gone through in which somebody writes meanwhile."""
_SEALED = frozenset(table.name for table in COVERED)


class WrittenMeanwhileError(Transient):
    """Somebody wrote into a partition that was about to go."""

    code = "written_meanwhile"


@dataclass(slots=True)
class _Look:
    """What was seen of a partition since a moment: up to which id, and how many rows.

    `places` are those of its rows in their seals.
    """

    partition: Partition
    since: int
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
        self, session: Session, kind: Kind, partition: Partition, before: datetime
    ) -> Sequence[UUID] | None:
        """Look at the next rows of a partition and give them; none at its end.

        None: it does not go as a whole.
        """
        look = self._look
        if look is None or look.partition.name != partition.name:
            look = self._look = _Look(partition, store.moment(session))
        ids = store.next_ids(session, partition, look.after, ROWS_AT_ONCE)
        if not ids:
            return ids
        places = places_of(session, kind.name, ids) if kind.name in _SEALED else {}
        if places is None or not all_go(session, kind, ids, before):
            self.give_up(partition)
            return None
        for number, some in places.items():
            look.places.setdefault(number, set()).update(some)
        look.rows += len(ids)
        look.after = ids[-1]
        return ids

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
        """Forget what was seen of a partition: it is gone."""
        self._look = None
        self._tries = 1

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
