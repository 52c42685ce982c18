"""Verifying: is every sealed row there, as it was sealed, and is every seal there and genuine?

Nothing is written and no secret is needed. The database is read as it stood at one moment; what is
held in memory does not grow with it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from schemas.evidence_tables import SealRow
from schemas.ids import first_id, made_at
from service.db import Database, Session
from service.errors import Permanent
from service.leaves import COVERED, Covered
from service.merkle import ENTRY_BYTES, root_of, unpack
from service.seal_form import (
    NEW_KEY,
    NO_ID,
    NOTHING_BEFORE,
    digest_of,
    is_signed,
    key_id_of,
    removal_is_signed,
    removal_key_id,
    removed_bits,
)
from service.seal_head import Head
from service.sealing import CLOSED, kinds_of
from service.store import covered
from service.store import seals as store
from service.unit_of_work import reading

TELL_EVERY = 1000
"""Rows after which `progress` is called."""
BACKWARDS = timedelta(minutes=1)
"""By how much a clock must have gone back to be told of."""


class What(StrEnum):
    """What is wrong."""

    ALTERED = "altered"
    MISSING = "missing"
    ADDED = "added"
    SEAL = "seal"
    """A seal, its signature or the chain of seals."""
    DAMAGED = "damaged"
    """The database cannot read what it keeps."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `time` is when a row's id was made, or a seal."""

    what: What
    detail: str
    table: str | None = None
    id: str | None = None
    source: str | None = None
    time: datetime | None = None
    seal: int | None = None


@dataclass(slots=True)
class Counted:
    """What was found in one table. `unsealed` rows are too young, or nobody has sealed them yet."""

    sealed: int = 0
    unsealed: int = 0
    removed: int = 0
    """By retention, as is signed."""
    late: int = 0
    """Sealed, but only when they were looked for later."""


@dataclass(slots=True)
class Summary:
    """What was verified; complete when there are no more findings."""

    seals: int = 0
    head: Head | None = None
    sealed_until: datetime | None = None
    tables: dict[str, Counted] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be verified, and what is known from elsewhere.

    `since` None: everything. `public_keys` (32 bytes each) are those with which a chain may begin;
    none: the first seal's. `expected` are seals that the chain must hold.
    """

    tables: Sequence[Covered] = COVERED
    since: datetime | None = None
    public_keys: Sequence[bytes] = ()
    expected: Sequence[Head] = ()


Progress = Callable[[int, int], None]
"""Is told how many sealed rows were looked at, of how many."""


def verify(
    database: Database,
    question: Question,
    summary: Summary,
    progress: Progress = lambda _done, _of: None,
) -> Iterator[Finding]:
    """Give everything that is wrong, as it is found, and fill the summary meanwhile.

    Raises Unavailable when the database is away.
    """
    with reading(database) as session:
        covered.hold_still(session)
        for finding in _look(session, question, summary, progress):
            summary.findings[finding.what] = summary.findings.get(finding.what, 0) + 1
            yield finding


def _look(
    session: Session, question: Question, summary: Summary, progress: Progress
) -> Iterator[Finding]:
    try:
        with covered.damage_told():
            chain = _Chain(session, question, summary)
            yield from chain.look()
            for table in question.tables:
                summary.tables[table.name] = Counted()
                yield from _Rows(session, table, chain, summary, progress).look()
            if question.since is None:
                names = [table.name for table in question.tables]
                for sentence in covered.damages(session, names):
                    yield Finding(What.DAMAGED, sentence)
    except Permanent as error:
        yield Finding(What.DAMAGED, error.message)


class _Chain:
    """All seals in their order: signatures, chain, keys, roots."""

    def __init__(self, session: Session, question: Question, summary: Summary) -> None:
        self._session = session
        self._summary = summary
        known = (*store.public_keys(session), *question.public_keys)
        self._public = {key_id_of(public): public for public in known}
        self._trusted = {key_id_of(public) for public in question.public_keys}
        self._expected = set(question.expected)
        covers = [kind for table in question.tables for kind in kinds_of(table.name)]
        self.seals: dict[str, list[tuple[UUID, int]]] = {kind: [] for kind in covers}
        """By what they cover: where seals end, and their numbers."""
        self.after = NO_ID if question.since is None else _before(first_id(question.since))
        self.closed: dict[str, UUID] = {}
        """By table: up to which id nothing may be added any more."""
        self.removal_faults: set[int] = set()
        self.rows = 0

    def look(self) -> Iterator[Finding]:
        """Give what is wrong with seals."""
        numbers = store.numbers(self._session)
        if not numbers and self._public:
            yield Finding(What.SEAL, "there are keys, so there were seals: all are missing")
        before: SealRow | None = None
        sound = True
        last = 0
        for number in numbers:
            if number != last + 1:
                yield _gap(last + 1, number - 1)
                sound = False
            last = number
            seal = store.readable(self._session, number)
            if seal is None:
                yield Finding(What.SEAL, f"seal {number}: it cannot be read", seal=number)
                sound = False
                continue
            # What follows a seal that is broken cannot fit to it, and is not to blame.
            faults = list(self._faults(seal, before if sound else None))
            for fault in faults:
                detail = f"seal {number}: {fault}"
                yield Finding(What.SEAL, detail, seal=number, time=seal.sealed_at)
            self._note(seal, before, sound=not faults)
            before, sound = seal, not faults
        for head in sorted(self._expected, key=lambda head: head.number):
            detail = (
                f"seal {head.number} is expected as {head}, and the chain does not hold it: it "
                "was taken away or made anew, or the database is an older copy"
            )
            yield Finding(What.SEAL, detail, seal=head.number)

    def _faults(self, seal: SealRow, before: SealRow | None) -> Iterator[str]:
        if not self._trusted:
            self._trusted.add(seal.key_id)
        public = self._public.get(seal.key_id)
        if seal.key_id not in self._trusted:
            yield f"it is signed with the key {seal.key_id}, for which none before it vouches"
            self._trusted.add(seal.key_id)  # told once
        if public is None:
            yield f"its key {seal.key_id} is not there"
        elif not is_signed(seal, public):
            yield "its signature does not fit what it says"
        self._expected.discard(Head(seal.number, digest_of(seal)))
        if before is not None and seal.previous != digest_of(before):
            yield "it does not follow the seal before it"
        if seal.number == 1 and seal.previous != NOTHING_BEFORE:
            yield "it is the first, and says that there was one before it"
        yield from self._removal_faults(seal)
        yield from self._leaf_faults(seal)

    def _removal_faults(self, seal: SealRow) -> Iterator[str]:
        key_id = removal_key_id(seal)
        if key_id is None:
            return
        public = self._public.get(key_id)
        if public is None or not removal_is_signed(seal, public):
            self.removal_faults.add(seal.number)
            yield "what it says of removed rows is not signed"

    def _leaf_faults(self, seal: SealRow) -> Iterator[str]:
        if seal.covers == NEW_KEY:
            return
        if not seal.leaves and seal.count:
            bits = sum(byte.bit_count() for byte in removed_bits(seal))
            if bits != seal.count or seal.number in self.removal_faults:
                yield "its list of rows is missing"
        elif len(seal.leaves) != seal.count * ENTRY_BYTES or root_of(seal.leaves) != seal.root:
            yield "its list of rows is not the one that was signed"

    def _note(self, seal: SealRow, before: SealRow | None, *, sound: bool) -> None:
        """Take what later checks need, and what the summary tells."""
        summary = self._summary
        summary.seals += 1
        summary.head = Head(seal.number, digest_of(seal))
        summary.sealed_until = seal.sealed_at
        if seal.key_id not in summary.keys:
            summary.keys.append(seal.key_id)
        if before is not None and seal.sealed_at < before.sealed_at - BACKWARDS:
            back = before.sealed_at - seal.sealed_at
            summary.notes.append(f"before seal {seal.number} the clock went back by {back}")
        if seal.covers in self.seals and seal.last_id > self.after:
            self.seals[seal.covers].append((seal.last_id, seal.number))
            self.rows += seal.count
        if sound and seal.covers == NEW_KEY:
            self._trusted.add(seal.root.hex())
        table = seal.covers.removesuffix(CLOSED.kind)
        if sound and table != seal.covers:
            self.closed[table] = max(seal.last_id, self.closed.get(table, NO_ID))


class _Sealed(NamedTuple):
    """A row as a seal has recorded it."""

    id: UUID
    hash: bytes
    seal: int
    removed: bool
    late: bool


class _Rows:
    """The rows of a table beside the seals that cover them, both in the order of ids."""

    def __init__(
        self,
        session: Session,
        table: Covered,
        chain: _Chain,
        summary: Summary,
        progress: Progress,
    ) -> None:
        self._session = session
        self._table = table
        self._chain = chain
        self._closed = chain.closed.get(table.name, NO_ID)
        self._summary = summary
        self._counted = summary.tables[table.name]
        self._progress = progress

    def look(self) -> Iterator[Finding]:
        """Give what is wrong with rows."""
        kinds = kinds_of(self._table.name)
        recorded = heapq.merge(*(self._recorded(kind) for kind in kinds))
        sealed = next(recorded, None)
        done = 0
        for row in covered.rows_between(self._session, self._table, self._after()):
            if row.id is None:
                yield self._finding(What.ADDED, row.key, "its id is none of ours", row)
                continue
            while sealed is not None and sealed.id < row.id:
                yield from self._gone(sealed)
                sealed = next(recorded, None)
            if sealed is None or sealed.id != row.id:
                yield from self._unsealed(row)
            while sealed is not None and sealed.id == row.id:
                yield from self._compare(row, sealed)
                sealed = next(recorded, None)
            done += 1
            if done % TELL_EVERY == 0:
                self._tell()
        while sealed is not None:
            yield from self._gone(sealed)
            sealed = next(recorded, None)
        self._tell()

    def _after(self) -> UUID | None:
        # Without a bound also what is no id is read.
        return None if self._chain.after == NO_ID else self._chain.after

    def _recorded(self, kind: str) -> Iterator[_Sealed]:
        """Give what the seals of a kind have recorded, each id behind the one before it."""
        late = kind != self._table.name
        latest = self._chain.after
        for _, number in sorted(self._chain.seals[kind]):
            seal = store.readable(self._session, number)
            if seal is None:
                continue
            bits = removed_bits(seal)
            if number in self._chain.removal_faults:
                bits = bytes(len(bits))
            # In a list that was tampered with ids may stand anyhow, and more of them.
            entries = [
                _Sealed(id_, hash_, number, bool(bits[place // 8] >> place % 8 & 1), late)
                for place, (id_, hash_) in enumerate(unpack(seal.leaves))
                if place < seal.count and latest < id_ <= seal.last_id
            ]
            entries.sort()
            yield from entries
            latest = max(latest, seal.last_id)
            if not seal.leaves:
                self._counted.removed += sum(byte.bit_count() for byte in bits)

    def _compare(self, row: covered.Kept, sealed: _Sealed) -> Iterator[Finding]:
        self._counted.sealed += 1
        self._counted.late += sealed.late
        if row.hash != sealed.hash:
            detail = f"it is not what seal {sealed.seal} has recorded"
            yield self._finding(What.ALTERED, str(row.id), detail, row, sealed)
        elif sealed.removed:
            detail = "retention has removed it, and it is there again"
            yield self._finding(What.ADDED, str(row.id), detail, row, sealed)

    def _unsealed(self, row: covered.Kept) -> Iterator[Finding]:
        if row.id is not None and row.id <= self._closed:
            detail = "no seal covers it: it was put there later, or its seal was taken away"
            yield self._finding(What.ADDED, str(row.id), detail, row)
        else:
            self._counted.unsealed += 1

    def _gone(self, sealed: _Sealed) -> Iterator[Finding]:
        if sealed.removed:
            self._counted.removed += 1
        else:
            detail = f"seal {sealed.seal} has recorded it, and it is not there"
            yield self._finding(What.MISSING, str(sealed.id), detail, None, sealed)

    def _finding(
        self,
        what: What,
        id_: str,
        detail: str,
        row: covered.Kept | None,
        sealed: _Sealed | None = None,
    ) -> Finding:
        known = sealed.id if sealed is not None else None if row is None else row.id
        return Finding(
            what,
            detail,
            table=self._table.name,
            id=id_,
            source=None if row is None else row.whose,
            time=None if known is None else made_at(known),
            seal=None if sealed is None else sealed.seal,
        )

    def _tell(self) -> None:
        tables = self._summary.tables.values()
        done = sum(counted.sealed + counted.removed for counted in tables)
        self._progress(done, self._chain.rows)


def _before(id_: UUID) -> UUID:
    return UUID(int=max(0, id_.int - 1))


def _gap(first: int, last: int) -> Finding:
    which = f"seal {first} is" if first == last else f"the seals {first} to {last} are"
    return Finding(What.SEAL, f"{which} missing", seal=first)
