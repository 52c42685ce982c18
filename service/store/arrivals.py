"""Groups of arrivals on their way into `deliveries`: what an inbox takes and gives.

The SQL is in inbox_postgres.py and inbox_sqlite.py; who gathers groups and answers the senders is
in service/group_commit.py. It is written without the ORM: on the machine where it was measured the
ORM alone cost more than the rest of the receiving path together.

An inbox stores one group at a time. It connects when it is needed and again after a failure, and it
raises Unavailable and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

from schemas.states import DeliveryState
from service.errors import Unavailable

COLUMNS = "id, source_id, source, vendor, delivery_key, received_at, headers, body"
SWEEP_AFTER = timedelta(seconds=2)
"""A new delivery is due this long after it came: the sweeper rings when the bell was lost, or
dropped because many wait."""

_IN_VAIN = (DeliveryState.DEAD, DeliveryState.UNCONFIRMED)
ENDED_IN_VAIN = ", ".join(f"'{state.value}'" for state in _IN_VAIN)
"""In SQL: the states in which a delivery gave no event and may be tried anew."""
ANSWER_TIMEOUT_MS = 4_000
"""How long the database may take over one statement or lock before the group is given up."""


@dataclass(slots=True)
class Arrival:
    """A verified delivery that is not stored yet. `headers` is the JSON, in UTF-8."""

    id: UUID
    source_id: UUID
    source: str
    vendor: str
    delivery_key: str
    received_at: datetime
    headers: bytes
    body: bytes


class Earlier(NamedTuple):
    """The row that had the arrival's key before; `revived` when it was dead and is tried anew."""

    id: UUID
    revived: bool


Outcomes = dict[UUID, Earlier | Unavailable]
"""By the ids of arrivals: what hindered the making of a new row. All others are new rows."""


class Inbox(Protocol):
    """Stores groups in one database, one at a time."""

    async def connect(self) -> None:
        """Connect unless there is a connection."""

    async def store(self, group: Sequence[Arrival]) -> Outcomes:
        """Commit a group; give which arrivals were stored earlier or could not be stored.

        Every other arrival is a new row under its own id. Raises Unavailable when that is not
        certain; storing the same group again is safe.
        """

    async def close(self) -> None:
        """Give the connection up."""


def lock_order(arrival: Arrival) -> tuple[str, UUID]:
    """Give what a group is sorted by before it is inserted."""
    # Two receivers that insert the same keys wait for one another's; in one order they never
    # wait in a circle. Sorting is stable: of two equal keys the first to come is the one stored.
    return arrival.delivery_key, arrival.source_id


class StoredRow(NamedTuple):
    """What is asked of rows that may have been there before."""

    id: UUID
    source_id: UUID
    delivery_key: str
    state: str


def match(group: Sequence[Arrival], rows: Iterable[StoredRow], revived: set[UUID]) -> Outcomes:
    """Find which arrivals were there before, given the rows that have their keys now."""
    stored = {(row.source_id, row.delivery_key): row.id for row in rows}
    ours = {arrival.id for arrival in group} & set(stored.values())
    earlier: Outcomes = {}
    for arrival in group:
        found = stored.get((arrival.source_id, arrival.delivery_key))
        if found is None:
            raise Unavailable("a delivery was removed while it was stored; send it again")
        if arrival.id not in ours:
            earlier[arrival.id] = Earlier(found, found in revived)
    return earlier


def dead_ids(rows: Iterable[StoredRow]) -> list[UUID]:
    """Give the rows that are to be revived: those that ended without an event."""
    return [row.id for row in rows if row.state in _IN_VAIN]
