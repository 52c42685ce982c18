"""Refused requests, kept for a while: what came, and the true reason the sender was not told.

`keep` only lays a refusal on a heap. A thread of low priority sorts the heap once a second: equal
refusals are counted instead of stored again, the rest go to the bounded table, and the log gets one
line for each source and reason. In a flood the heap is full and the surplus is only counted, so
that a refusal always costs less than a delivery.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import structlog

from schemas.clock import Clock, utc_now
from schemas.ids import new_id
from schemas.tables import RejectionRow
from service.db import Database
from service.errors import Unavailable
from service.queue import Queue
from service.store.rejections import (
    MAX_BODY_BYTES,
    Bounds,
    add_rejections,
    count_again,
    trim_rejections,
)
from service.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)

NO_SOURCE = "-"
"""The source of requests for names we do not know: one for all, and no name a source can have."""

HEAP_REFUSALS = 500
HEAP_BYTES = 8 * 1024 * 1024
ROWS_A_BATCH = 100
BATCH_EVERY_S = 1.0
TRIM_EVERY_S = 600.0
SAME_WITHIN_S = 60.0
REMEMBERED = 2_000
MAX_HEADER_CHARS = 16 * 1024
HEADER_CHARS = 1024
"""What is kept of a value where the headers are too much together."""
DETAIL_CHARS = 500
REMOTE_CHARS = 200
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused request. `reason` is a stable word, `detail` a sentence for our own people.

    `headers` as they may be stored: without secrets. `body` may be empty because it was not read.
    """

    source: str
    reason: str
    detail: str
    remote: str
    request_id: str
    received_at: datetime
    body: bytes
    headers: Sequence[tuple[str, str]]


_Key = tuple[str, str, bytes]
"""Source, reason and digest of the body: what makes refusals equal."""


class _Known(NamedTuple):
    row: UUID
    until: float


class Quarantine:
    """Keeps refusals within bounds of memory, rows, bytes and age."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        *,
        bounds: Bounds | None = None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`bounds`: 10,000 rows, 64 MiB, 7 days, a quarter of it for one source by default."""
        self._database = database
        self._queue = queue
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._monotonic = monotonic
        self._heap: list[Refused] = []
        self._heap_bytes = 0
        self._surplus: Counter[tuple[str, str]] = Counter()
        self._known: dict[_Key, _Known] = {}
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

    def keep(self, refused: Refused) -> None:
        """Take a refusal. Never waits, never raises."""
        headers = _size_of(refused.headers)
        if headers > MAX_HEADER_CHARS:
            refused = replace(refused, headers=_cut(refused.headers))
            headers = MAX_HEADER_CHARS
        size = len(refused.body) + headers
        with self._lock:
            if len(self._heap) >= HEAP_REFUSALS or self._heap_bytes + size > HEAP_BYTES:
                self._surplus[refused.source, refused.reason] += 1
                return
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

    def _sort(self) -> None:
        trimmed = self._monotonic()
        while not self._stopped.is_set():
            self._filled.wait(TRIM_EVERY_S)
            self._filled.clear()
            is_idle = self._monotonic() - trimmed >= TRIM_EVERY_S
            try:
                if self._store_heap() or is_idle:
                    self._trim()
                    trimmed = self._monotonic()
            except Unavailable as error:
                log.warning("quarantine_not_stored", error=error.message)
            except Exception:
                log.exception("quarantine_not_stored")
            self._stopped.wait(BATCH_EVERY_S)
        try:
            if self._store_heap():
                self._trim()
        except Exception:  # noqa: BLE001  # the process is ending; only refusals are lost
            log.warning("quarantine_not_stored")

    def _store_heap(self) -> bool:
        """Store a batch and say whether rows were added."""
        with self._lock:
            heap, self._heap, self._heap_bytes = self._heap, [], 0
            surplus, self._surplus = self._surplus, Counter()
        _log_refusals(heap, surplus)
        if not heap:
            return False
        rows, again = self._tell_apart(heap)
        with unit_of_work(self._database, self._queue) as work:
            count_again(work.session, again)
            add_rejections(work.session, list(rows.values()))
        # Only now are they rows of which more can be counted.
        until = self._monotonic() + SAME_WITHIN_S
        for key, row in rows.items():
            if len(self._known) < REMEMBERED:
                self._known[key] = _Known(row.id, until)
        return bool(rows)

    def _trim(self) -> None:
        with unit_of_work(self._database, self._queue) as work:
            trim_rejections(work.session, self._bounds, self._clock())

    def _tell_apart(
        self, heap: Sequence[Refused]
    ) -> tuple[Mapping[_Key, RejectionRow], Counter[UUID]]:
        """Part a heap into new rows and further counts of rows that are stored already."""
        now = self._monotonic()
        self._known = {key: known for key, known in self._known.items() if known.until > now}
        rows: dict[_Key, RejectionRow] = {}
        again: Counter[UUID] = Counter()
        for refused in heap:
            key = (refused.source, refused.reason, sha256(refused.body).digest())
            known = self._known.get(key)
            if known is not None:
                again[known.row] += 1
            elif key in rows:
                rows[key].count += 1
            elif len(rows) < ROWS_A_BATCH:
                rows[key] = _row(refused)
        return rows, again


def _row(refused: Refused) -> RejectionRow:
    return RejectionRow(
        id=new_id(),
        source=refused.source,
        received_at=refused.received_at,
        reason=refused.reason,
        detail=_storable(refused.detail)[:DETAIL_CHARS],
        remote=_storable(refused.remote)[:REMOTE_CHARS],
        headers=[[_storable(name), _storable(value)] for name, value in refused.headers],
        body=refused.body[:MAX_BODY_BYTES],
        body_bytes=len(refused.body),
    )


def _size_of(headers: Sequence[tuple[str, str]]) -> int:
    return sum([len(name) + len(value) for name, value in headers])


def _cut(headers: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Give as much as is kept: first the long values are cut, so that a signature stays."""
    kept = []
    room = MAX_HEADER_CHARS
    for name, value in headers:
        pair = name[:HEADER_CHARS], value[:HEADER_CHARS]
        room -= len(pair[0]) + len(pair[1])
        if room < 0:
            break
        kept.append(pair)
    return kept


def _storable(text: str) -> str:
    """Give a text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _log_refusals(heap: Sequence[Refused], surplus: Counter[tuple[str, str]]) -> None:
    counts = surplus + Counter((refused.source, refused.reason) for refused in heap)
    examples = {(refused.source, refused.reason): refused for refused in reversed(heap)}
    for (source, reason), count in counts.items():
        example = examples.get((source, reason))
        log.info(
            "deliveries_refused",
            source=source,
            reason=reason,
            count=count,
            detail=example.detail if example else None,
            remote=example.remote if example else None,
            request_id=example.request_id if example else None,
        )
