"""Sealing: rows that must not change are covered by signed batches, some time after they came.

The door has no part in it: a chore takes rows that are older than `HORIZON`, in the order of their
ids, up to a thousand at a time. Rows that came to stand behind that order (a slow commit, another
machine's clock) are looked for twice: after some minutes, and once more after a day. With that
second look the time is closed: a row that stands there and in no seal was put there.

What a seal says stands in seal_form.py, what is said when rows go in removals.py, how seals are
verified in evidence.py, and all of it for people in docs/tamper-evidence.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from threading import Event
from time import thread_time
from uuid import UUID

import structlog

from schemas.evidence_tables import SealRow
from schemas.ids import first_id, made_at
from service.db import Session
from service.errors import ConfigurationError, Invalid
from service.leaves import COVERED, Covered
from service.merkle import Entry, pack, root_of, unpack
from service.runtime import Runtime
from service.seal_form import (
    LOST_KEY,
    NEW_KEY,
    NO_ID,
    NOTHING_BEFORE,
    digest_of,
    sign,
)
from service.seal_head import Head, read_head, write_head
from service.sealing_keys import SealingKey, current_key, make_key
from service.secretbox import SecretBox
from service.store import covered
from service.store import seals as store
from service.unit_of_work import reading, unit_of_work

log = structlog.get_logger(__name__)

HORIZON = timedelta(seconds=10)
"""How long a row takes at most from its id, which is made when its request begins, to its commit.
One that takes longer is sealed late."""
GATHER = timedelta(seconds=10)
"""How long rows wait for others."""
FEW_ROWS = 20
SELDOM = timedelta(minutes=1)
"""Fewer rows than that are sealed no more often than this: a trickle makes few seals."""
BURST = 10
BURST_TIME = timedelta(minutes=10)
"""So many seals in this time are made at once nevertheless: of what comes now and then."""
BATCH_ROWS = 1000
BATCH_BYTES = 8 * 1024 * 1024
SHARE = 0.1
"""Of a processor, at most: in `hookwright up` the door shares the interpreter with this."""
SHARE_BEHIND = 0.5
BEHIND = timedelta(minutes=2)
"""What waits for longer than this is sealed with `SHARE_BEHIND`."""
SLICE_S = 0.001
KEY_HINT = (
    "put the old secret key at the end of HOOKWRIGHT_SECRET_KEYS; if it is lost for good, "
    "`hookwright audit change-key --lost`. Nothing is sealed, and retention removes nothing "
    "that is, until then"
)
SWEPT_AT_ONCE = 20
"""Seals whose time is looked through at a time."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A look for rows that came late: `after` their time was sealed, put off by `gather`."""

    kind: str
    after: timedelta
    gather: timedelta


LATE = Sweep(".late", timedelta(minutes=3), timedelta(minutes=5))
CLOSED = Sweep(".closed", timedelta(days=1), timedelta(hours=1))
SWEEPS = (LATE, CLOSED)


def kinds_of(table: str) -> tuple[str, ...]:
    """Give what seals of a table's rows have as `covers`."""
    return (table, *(table + sweep.kind for sweep in SWEEPS))


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the next seal of a kind is to say; `behind` is the number of the one before it."""

    table: Covered
    covers: str
    behind: int
    first_id: UUID
    last_id: UUID
    entries: Sequence[Entry]


class _Pace:
    """Rests between slices of work, so that this thread takes no more than a share of a processor.

    Rests are short and many: the door waits for the interpreter until the slice is over.
    """

    def __init__(self, stopping: Event, share: float) -> None:
        self._stopping = stopping
        self._rest = (1 - share) / share
        self._since = thread_time()

    def keep(self) -> None:
        """Rest when a slice is over; not at all in a process that is about to end."""
        worked = thread_time() - self._since
        if worked >= SLICE_S:
            self._stopping.wait(worked * self._rest)
            self._since = thread_time()


def seal_rows(runtime: Runtime, share: float | None = None) -> bool:
    """Seal a batch of rows; says whether there may be another. Two processes may do so at once.

    `share` of a processor is what reading and hashing takes at most; None: as is usual. Raises
    ConfigurationError when the key cannot be opened, Unavailable.
    """
    now = runtime.clock()
    with reading(runtime.database) as session:
        batch = next(_batches(session, now, runtime.stopping, share), None)
        if batch is None:
            return False
        head = _unknown_head(runtime, session)
    made = _write(runtime, batch, now)
    if made is not None and head is None:
        write_head(runtime.settings.data_dir, made)
    return True


def change_key(session: Session, box: SecretBox, *, now: datetime) -> str:
    """Let the seals from now on be signed with a new key, which the old one vouches for.

    Gives the new key's id. Raises ConfigurationError when the old one cannot be opened.
    """
    store.take_turn(session)
    newest = store.newest(session)
    old = current_key(session, box, newest, now=now)
    new = make_key(session, box, now=now)
    _append(session, old, newest, NEW_KEY, NO_ID, NO_ID, (), now, bytes.fromhex(new.id))
    store.retire(session, old.id, now)
    return new.id


def replace_lost_key(session: Session, box: SecretBox, *, now: datetime) -> str:
    """Let the seals from now on be signed with a new key, since the old one cannot be opened.

    Nothing vouches for the new key, and `verify` says so until it is given that key. Gives its id.
    Raises Invalid when the old one can be opened.
    """
    store.take_turn(session)
    newest = store.newest(session)
    with suppress(ConfigurationError):
        current_key(session, box, newest, now=now)
        raise Invalid(
            "the sealing key can be opened: it is not lost",
            hint="`hookwright audit change-key` without --lost replaces it",
        )
    for row in store.every_key(session):
        if row.retired_at is None:
            store.retire(session, row.id, now)
    new = make_key(session, box, now=now)
    _append(session, new, newest, LOST_KEY, NO_ID, NO_ID, (), now, bytes.fromhex(new.id))
    return new.id


def warn_of_closed_key(runtime: Runtime) -> bool:
    """Log when the sealing key cannot be opened: nothing is sealed then, and nothing removed."""
    with reading(runtime.database) as session:
        newest = store.newest(session)
        try:
            if newest is not None:
                current_key(session, _box(runtime), newest, now=runtime.clock())
        except ConfigurationError as error:
            log.warning("sealing_key_not_opened", error=error.message, hint=KEY_HINT)
    return False


def _batches(
    session: Session, now: datetime, stopping: Event, share: float | None
) -> Iterator[_Batch]:
    for table in COVERED:
        batch = _next_batch(session, table, now, stopping, share)
        if batch is not None:
            yield batch
        for sweep in SWEEPS:
            swept = _next_sweep(session, table, sweep, now)
            if swept is not None:
                yield swept


def _next_batch(
    session: Session, table: Covered, now: datetime, stopping: Event, share: float | None
) -> _Batch | None:
    newest = store.newest_of(session, table.name)
    after = NO_ID if newest is None else newest.last_id
    ripe = covered.ids_between(session, table, after, first_id(now - HORIZON))
    ids = list(islice(ripe, BATCH_ROWS))
    if not ids or (
        len(ids) < BATCH_ROWS and _waits(session, len(ids), made_at(ids[0]), newest, now)
    ):
        return None
    usual = SHARE_BEHIND if made_at(ids[0]) < now - HORIZON - BEHIND else SHARE
    pace = _Pace(stopping, share or usual)
    entries: list[Entry] = []
    size = 0
    for row in covered.rows_between(session, table, after, ids[-1]):
        if row.id is not None:
            entries.append((row.id, row.hash))
        size += row.size
        if size >= BATCH_BYTES:
            break
        pace.keep()
    if not entries:
        return None
    return _Batch(table, table.name, _number(newest), entries[0][0], entries[-1][0], entries)


def _waits(
    session: Session, rows: int, oldest: datetime, newest: SealRow | None, now: datetime
) -> bool:
    """Say whether so many rows wait for others, the oldest of them since then."""
    ripe_for = now - HORIZON - oldest
    if ripe_for < GATHER:
        return True
    if rows >= FEW_ROWS or ripe_for >= SELDOM:
        return False
    if newest is None or newest.sealed_at <= now - SELDOM:
        return False
    one_of_many = store.newest_of(session, newest.covers, skip=BURST - 1)
    return one_of_many is not None and one_of_many.sealed_at > now - BURST_TIME


def _next_sweep(session: Session, table: Covered, sweep: Sweep, now: datetime) -> _Batch | None:
    newest = store.newest_of(session, table.name + sweep.kind)
    after = NO_ID if newest is None else newest.last_id
    found = store.after(session, table.name, after, SWEPT_AT_ONCE)
    ripe = list(takewhile(lambda seal: seal.sealed_at <= now - sweep.after, found))
    if not ripe:
        return None
    if len(ripe) < SWEPT_AT_ONCE and ripe[0].sealed_at > now - sweep.after - sweep.gather:
        return None
    until = ripe[-1].last_id
    known = {
        id_
        for kind in kinds_of(table.name)
        for seal in store.holding(session, kind, after, until)
        for id_, _ in unpack(seal.leaves)
    }
    between = covered.ids_between(session, table, after, until)
    late = list(islice((id_ for id_ in between if id_ not in known), BATCH_ROWS))
    if len(late) == BATCH_ROWS:
        until = late[-1]
    entries = [
        (id_, row.hash)
        for id_ in late
        for row in covered.rows_between(session, table, UUID(int=id_.int - 1), id_)
    ]
    covers = table.name + sweep.kind
    return _Batch(table, covers, _number(newest), after, until, entries)


def _write(runtime: Runtime, batch: _Batch, now: datetime) -> Head | None:
    """Add the seal of a batch to the chain; None when it is not what there is any more."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        session = work.session
        store.take_turn(session)
        if _number(store.newest_of(session, batch.covers)) != batch.behind:
            return None  # another process has sealed these
        ids = [id_ for id_, _ in batch.entries]
        if covered.count_of(session, batch.table, ids) != len(ids):
            return None  # retention has removed some meanwhile
        newest = store.newest(session)
        key = current_key(session, _box(runtime), newest, now=now)
        seal = _append(
            session,
            key,
            newest,
            batch.covers,
            batch.first_id,
            batch.last_id,
            batch.entries,
            now,
        )
    log.debug("rows_sealed", seal=seal.number, covers=seal.covers, rows=seal.count)
    return Head(seal.number, digest_of(seal))


def _append(
    session: Session,
    key: SealingKey,
    newest: SealRow | None,
    covers: str,
    first: UUID,
    last: UUID,
    entries: Sequence[Entry],
    now: datetime,
    root: bytes | None = None,
) -> SealRow:
    leaves = pack(entries)
    seal = SealRow(
        number=_number(newest) + 1,
        covers=covers,
        first_id=first,
        last_id=last,
        count=len(entries),
        leaves=leaves,
        root=root_of(leaves) if root is None else root,
        previous=NOTHING_BEFORE if newest is None else digest_of(newest),
        key_id=key.id,
        signature=b"",
        sealed_at=now,
    )
    sign(seal, key.private)
    session.add(seal)
    session.flush()
    return seal


def _unknown_head(runtime: Runtime, session: Session) -> Head | None:
    """Give the end of the chain that was seen here when the chain does not hold it any more.

    It is then kept as it is, for `verify` to say so, until somebody has looked into it.
    """
    head = read_head(runtime.settings.data_dir)
    if head is None:
        return None
    seal = store.by_number(session, head.number)
    if seal is not None and digest_of(seal) == head.digest:
        return None
    log.error("seals_missing", seal=str(head), hint="run `hookwright verify`")
    return head


def _number(seal: SealRow | None) -> int:
    return 0 if seal is None else seal.number


def _box(runtime: Runtime) -> SecretBox:
    return SecretBox(runtime.settings.required_secret_keys())
