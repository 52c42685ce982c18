"""Refused requests, kept for a while: what came, and the true reason the sender was not told.

`keep` only lays a refusal on a heap. A thread of low priority sorts the heap once a second: equal
refusals are counted instead of stored again, the rest go to the bounded table, and the log gets one
line for each source and reason. What one source may add is bounded by its `_Room`: a burst, then a
trickle. So a flood costs less than deliveries would, what was kept before it stays for long, and
what is kept of the flood is spread over its whole length.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

import structlog

from schemas.clock import Clock, utc_now
from schemas.tables import RejectionRow
from service.db import Database
from service.errors import Unavailable
from service.faults import note_fault
from service.queue import Queue
from service.refused import MAX_HEADER_CHARS, NO_SOURCE, Refused, row_of, size_of
from service.secretbox import SecretBox
from service.store.rejections import (
    Bounds,
    add_rejections,
    count_again,
    find_surplus,
    remove_rejections,
)
from service.unit_of_work import reading, unit_of_work

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""A body up to this size is kept whole, if there is room for it: so much as a source takes by
default."""
GLIMPSE_BYTES = 4 * 1024
"""What is kept of a body for which there is no room, for people to look at."""

HEAP_REFUSALS = 500
HEAP_BYTES = 8 * 1024 * 1024
"""What waits to be stored; one source may have half of it."""
BURST_ROWS = 1_000
BURST_BYTES = 8 * 1024 * 1024
ROWS_A_SECOND = 2.0
BYTES_A_SECOND = 64 * 1024.0
ROWS_A_TRANSACTION = 50
BYTES_A_TRANSACTION = 1024 * 1024
"""The writer of deliveries waits for no more than this, where there is one writer at a time."""

BATCH_EVERY_S = 1.0
TRIM_EVERY_S = 600.0
TRIM_AGAIN_S = 10.0
TRIM_AFTER_ROWS = 100
SAME_WITHIN_S = 600.0
REMEMBERED = 2_000
STOP_TIMEOUT_S = 5.0


class _Known(NamedTuple):
    row: UUID
    until: float


_Key = tuple[str, str, bytes]
"""Name, reason and identity: what makes refusals equal."""


@dataclass(slots=True)
class _Room:
    """What one source may still add, and what of it waits on the heap."""

    rows: float = BURST_ROWS
    size: float = BURST_BYTES
    at: float = 0.0
    waiting_rows: int = 0
    waiting_size: int = 0

    def refill(self, now: float) -> None:
        """Add what has come with the time."""
        passed = now - self.at
        self.at = now
        self.rows = min(self.rows + passed * ROWS_A_SECOND, BURST_ROWS)
        self.size = min(self.size + passed * BYTES_A_SECOND, BURST_BYTES)


class Quarantine:
    """Keeps refusals within bounds of memory, rows, bytes and age."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        box: SecretBox,
        *,
        bounds: Bounds | None = None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`box` seals what is struck out of headers.

        `bounds`: 10,000 rows, 64 MiB, 7 days, a quarter of it for one source by default.
        """
        self._database = database
        self._queue = queue
        self._box = box
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._monotonic = monotonic
        self._heap: list[Refused] = []
        self._heap_bytes = 0
        self._rooms: dict[str, _Room] = {}
        self._surplus: Counter[tuple[str, str]] = Counter()
        self._known: dict[_Key, _Known] = {}
        self._added = 0
        self._trimmed = monotonic()
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sort, name="quarantine", daemon=True)

    def start(self) -> None:
        """Begin to store."""
        self._thread.start()

    def stop(self) -> None:
        """Store what waits and end, in 5 seconds at most."""
        self._stopped.set()
        self._filled.set()
        self._thread.join(STOP_TIMEOUT_S)

    def has_room(self, name: str) -> bool:
        """Say whether a refusal under this name would be kept now."""
        with self._lock:
            return self._room(name) is not None

    def keep(self, refused: Refused) -> None:
        """Take a refusal. Never waits, never raises."""
        name = refused.name
        headers = min(size_of(refused.headers), MAX_HEADER_CHARS)
        with self._lock:
            room = self._room(name)
            if room is None:
                self._surplus[name, refused.reason] += 1
            else:
                size = headers + len(refused.body)
                if len(refused.body) > MAX_BODY_BYTES or not self._takes(room, size):
                    refused = replace(refused, body=refused.body[:GLIMPSE_BYTES])
                    size = headers + len(refused.body)
                room.rows -= 1
                room.size -= size
                room.waiting_rows += 1
                room.waiting_size += size
                self._heap.append(refused)
                self._heap_bytes += size
        if not self._filled.is_set():
            self._filled.set()

    def note(self, source: str, reason: str) -> None:
        """Take a refusal of which nothing is kept but a line in the log."""
        with self._lock:
            self._surplus[source, reason] += 1
        if not self._filled.is_set():
            self._filled.set()

    def _room(self, name: str) -> _Room | None:
        """Give the room of a name where one more refusal fits into it."""
        now = self._monotonic()
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room(at=now)
        room.refill(now)
        fits = (
            room.rows >= 1
            and room.waiting_rows < HEAP_REFUSALS // 2
            and len(self._heap) < HEAP_REFUSALS
            and self._takes(room, MAX_HEADER_CHARS + GLIMPSE_BYTES)
        )
        return room if fits else None

    def _takes(self, room: _Room, size: int) -> bool:
        return (
            room.size >= size
            and room.waiting_size + size <= HEAP_BYTES // 2
            and self._heap_bytes + size <= HEAP_BYTES
        )

    # --- in the thread ------------------------------------------------------------------------

    def _sort(self) -> None:
        while not self._stopped.is_set():
            self._filled.wait(TRIM_AGAIN_S if self._added else TRIM_EVERY_S)
            self._filled.clear()
            try:
                self._store_heap()
                self._trim_in_time()
            except Unavailable as error:
                log.warning("quarantine_not_stored", error=error.message)
            except Exception as error:  # noqa: BLE001  # note_fault logs it
                note_fault(error, "quarantine_not_stored")
            self._stopped.wait(BATCH_EVERY_S)
        try:
            self._store_heap()
            self._trim()
        except Exception:  # noqa: BLE001  # the process is ending; only refusals are lost
            log.warning("quarantine_not_stored")

    def _store_heap(self) -> None:
        with self._lock:
            heap, self._heap, self._heap_bytes = self._heap, [], 0
            surplus, self._surplus = self._surplus, Counter()
            for room in self._rooms.values():
                room.waiting_rows = room.waiting_size = 0
        _log_refusals(heap, surplus)
        rows, again = self._tell_apart(heap)
        if again:
            with unit_of_work(self._database, self._queue) as work:
                gone = count_again(work.session, again)
            self._known = {
                key: known for key, known in self._known.items() if known.row not in gone
            }
        for part in _portions(rows):
            with unit_of_work(self._database, self._queue) as work:
                add_rejections(work.session, list(part.values()))
            self._added += len(part)
            # Only now are they rows of which more can be counted.
            until = self._monotonic() + SAME_WITHIN_S
            for key, row in part.items():
                if len(self._known) < REMEMBERED:
                    self._known[key] = _Known(row.id, until)

    def _trim_in_time(self) -> None:
        passed = self._monotonic() - self._trimmed
        is_full = self._added and (self._added >= TRIM_AFTER_ROWS or passed >= TRIM_AGAIN_S)
        if is_full or passed >= TRIM_EVERY_S:
            self._trim()

    def _trim(self) -> None:
        self._trimmed, self._added = self._monotonic(), 0
        with reading(self._database) as session:
            surplus = find_surplus(session, self._bounds, self._clock())
        for start in range(0, len(surplus), ROWS_A_TRANSACTION):
            with unit_of_work(self._database, self._queue) as work:
                remove_rejections(work.session, surplus[start : start + ROWS_A_TRANSACTION])

    def _tell_apart(
        self, heap: Sequence[Refused]
    ) -> tuple[Mapping[_Key, RejectionRow], Counter[UUID]]:
        """Part a heap into new rows and further counts of rows that are stored already."""
        now = self._monotonic()
        self._known = {key: known for key, known in self._known.items() if known.until > now}
        rows: dict[_Key, RejectionRow] = {}
        again: Counter[UUID] = Counter()
        equal: Counter[str] = Counter()
        for refused in heap:
            key = (refused.name, refused.reason, refused.identity())
            known = self._known.get(key)
            if known is None and key not in rows:
                rows[key] = row_of(refused, self._box)
                continue
            equal[refused.name] += 1
            if known is not None:
                again[known.row] += 1
            else:
                rows[key].count += 1
        with self._lock:
            # What became no row has used no room.
            for name, many in equal.items():
                self._rooms[name].rows += many
        return rows, again


def _portions(rows: Mapping[_Key, RejectionRow]) -> Iterator[dict[_Key, RejectionRow]]:
    part: dict[_Key, RejectionRow] = {}
    size = 0
    for key, row in rows.items():
        size += len(row.body)
        if part and (len(part) >= ROWS_A_TRANSACTION or size > BYTES_A_TRANSACTION):
            yield part
            part, size = {}, len(row.body)
        part[key] = row
    if part:
        yield part


def _log_refusals(heap: Sequence[Refused], surplus: Counter[tuple[str, str]]) -> None:
    counts = surplus + Counter((refused.name, refused.reason) for refused in heap)
    examples = {(refused.name, refused.reason): refused for refused in reversed(heap)}
    for (source, reason), count in counts.items():
        example = examples.get((source, reason))
        # What strangers send to names that are no source is nobody's fault here.
        level = logging.INFO if source == NO_SOURCE else logging.WARNING
        log.log(
            level,
            "deliveries_refused",
            source=source,
            reason=reason,
            count=count,
            detail=example.detail if example else None,
            remote=example.remote if example else None,
            request_id=example.request_id if example else None,
        )
