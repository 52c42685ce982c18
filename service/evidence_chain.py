"""Verifying the chain: is every seal there, genuine, and the successor of the one before?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from schemas.evidence_tables import SealRow
from schemas.ids import first_id
from service.db import Session
from service.evidence_report import Finding, Question, Summary, What
from service.seal_form import (
    LOST_KEY,
    NEW_KEY,
    NO_ID,
    NOTHING_BEFORE,
    digest_of,
    has_its_leaves,
    is_signed,
    key_id_of,
    removal_is_signed,
    removal_key_id,
    removed_bits,
)
from service.seal_head import Head
from service.sealing import CLOSED, kinds_of
from service.store import seals as store

BACKWARDS = timedelta(minutes=1)
"""By how much a clock must have gone back to be told of."""


class Chain:
    """All seals in their order: signatures, chain, keys, roots."""

    def __init__(self, session: Session, question: Question, summary: Summary) -> None:
        self._session = session
        self._summary = summary
        known = (*store.public_keys(session), *question.public_keys)
        self._public = {key_id_of(public): public for public in known}
        self._trusted = {key_id_of(public) for public in question.public_keys}
        self._given = frozenset(self._trusted)
        self._expected = set(question.expected)
        covers = [kind for table in question.tables for kind in kinds_of(table.name)]
        self.seals: dict[str, list[tuple[UUID, int]]] = {kind: [] for kind in covers}
        """By what they cover: where seals end, and their numbers."""
        self.after = NO_ID if question.since is None else _before(first_id(question.since))
        self.closed: dict[str, UUID] = {}
        """By table: up to which id nothing may be added any more."""
        self.removal_faults: set[int] = set()
        self._next_key: str | None = None
        """The key that has to sign the next seal, where that is known."""
        self._removed_by: dict[tuple[str, str], list[int]] = {}
        """Seals by their key and another that signed what was removed of them: the seal that
        vouches for that one may come later."""
        self.rows = 0

    def look(self) -> Iterator[Finding]:
        """Give what is wrong with seals."""
        found = store.numbers(self._session)
        numbers = [number for number in found if isinstance(number, int)]
        if len(numbers) < len(found):
            yield Finding(What.SEAL, f"{len(found) - len(numbers)} of the seals have no number")
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
            if seal.covers == LOST_KEY and seal.key_id not in self._summary.key_ids:
                yield from self._lost_key(seal)
            # What follows a seal that is broken cannot fit to it, and is not to blame.
            faults = list(self._faults(seal, before if sound else None))
            for fault in faults:
                detail = f"seal {number}: {fault}"
                yield Finding(What.SEAL, detail, seal=number, time=seal.sealed_at)
            self._note(seal, before, sound=not faults)
            before, sound = seal, not faults
        yield from self._untrusted_removals()
        for head in sorted(self._expected, key=lambda head: head.number):
            detail = (
                f"seal {head.number} is expected as {head}, and the chain does not hold it: it "
                "was taken away or made anew, or the database is an older copy"
            )
            yield Finding(What.SEAL, detail, seal=head.number)

    def _lost_key(self, seal: SealRow) -> Iterator[Finding]:
        """Take a new key that nobody vouches for: told, unless who asks knows of it."""
        self._trusted.add(seal.key_id)
        self._next_key = seal.key_id
        lost = f"seal {seal.number}: the key was lost at {seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC"
        if seal.key_id in self._given:
            self._summary.notes.append(f"{lost}; what follows is signed with one that you gave")
            return
        detail = (
            f"{lost}, and no key vouches for key id {seal.key_id}, which signs from there on; if "
            "that is yours, give it to --public-key beside the first one"
        )
        yield Finding(What.KEY_LOST, detail, seal=seal.number, time=seal.sealed_at)

    def _faults(self, seal: SealRow, before: SealRow | None) -> Iterator[str]:
        if not self._trusted:
            self._trusted.add(seal.key_id)
        public = self._public.get(seal.key_id)
        if seal.key_id not in self._trusted:
            yield f"it is signed with key id {seal.key_id}, for which none before it vouches"
            self._trusted.add(seal.key_id)  # told once
        elif self._next_key not in {None, seal.key_id}:
            yield f"it is signed with key id {seal.key_id}, which another has replaced"
        if public is None:
            yield f"its key, id {seal.key_id}, is not there"
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
        elif key_id != seal.key_id:
            self._removed_by.setdefault((seal.key_id, key_id), []).append(seal.number)

    def _untrusted_removals(self) -> Iterator[Finding]:
        """Tell of rows that were removed under a key which is none of ours, or was replaced."""
        for (own, key_id), numbers in self._removed_by.items():
            known = (
                self._summary.key_ids
            )  # in their order; a new one may not have signed a seal yet
            is_older = key_id in known and known.index(key_id) < known.index(own)
            if key_id in self._trusted and not is_older:
                continue
            why = "which another had replaced" if is_older else "for which no seal vouches"
            for number in numbers:
                self.removal_faults.add(number)
                detail = (
                    f"seal {number}: what it says of removed rows is signed with key id {key_id}, "
                    f"{why}"
                )
                yield Finding(What.SEAL, detail, seal=number)

    def _leaf_faults(self, seal: SealRow) -> Iterator[str]:
        if seal.covers in {NEW_KEY, LOST_KEY}:
            return
        if not seal.leaves and seal.count:
            bits = sum(byte.bit_count() for byte in removed_bits(seal))
            if bits != seal.count or seal.number in self.removal_faults:
                yield "its list of rows is missing"
        elif not has_its_leaves(seal):
            yield "its list of rows is not the one that was signed"

    def _note(self, seal: SealRow, before: SealRow | None, *, sound: bool) -> None:
        """Take what later checks need, and what the summary tells."""
        summary = self._summary
        summary.seals += 1
        summary.head = Head(seal.number, digest_of(seal))
        summary.sealed_until = seal.sealed_at
        if seal.key_id not in summary.key_ids:
            summary.key_ids.append(seal.key_id)
        back = timedelta() if before is None else before.sealed_at - seal.sealed_at
        if back > BACKWARDS:
            summary.notes.append(f"before seal {seal.number} the clock went back by {back}")
        if seal.covers in self.seals and seal.last_id > self.after:
            self.seals[seal.covers].append((seal.last_id, seal.number))
            self.rows += seal.count
        self._next_key = seal.key_id if sound else None
        if sound and seal.covers == NEW_KEY:
            self._next_key = seal.root.hex()
            self._trusted.add(self._next_key)
        table = seal.covers.removesuffix(CLOSED.kind)
        if sound and table != seal.covers:
            self.closed[table] = max(seal.last_id, self.closed.get(table, NO_ID))


def _before(id_: UUID) -> UUID:
    return UUID(int=max(0, id_.int - 1))


def _gap(first: int, last: int) -> Finding:
    which = f"seal {first} is" if first == last else f"the seals {first} to {last} are"
    return Finding(What.SEAL, f"{which} missing", seal=first)
