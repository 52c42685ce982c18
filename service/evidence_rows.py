"""Verifying rows: those of a table beside what their seals have recorded of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from schemas.ids import made_at
from service.db import Session
from service.evidence_chain import Chain
from service.evidence_report import Finding, Progress, Summary, What
from service.leaves import Covered
from service.merkle import unpack
from service.seal_form import NO_ID, removed_bits
from service.sealing import kinds_of
from service.store import covered
from service.store import seals as store

TELL_EVERY = 1000
"""Rows after which `progress` is called."""


class _Sealed(NamedTuple):
    """A row as a seal has recorded it."""

    id: UUID
    hash: bytes
    seal: int
    removed: bool
    late: bool


class Rows:
    """The rows of a table beside the seals that cover them, both in the order of ids."""

    def __init__(
        self,
        session: Session,
        table: Covered,
        chain: Chain,
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
