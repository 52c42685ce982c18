"""Removing rows that are sealed: which of them may go, and what their seals then say of it.

A row that `verify` would call wrong stays: removed, and signed for, nobody could tell any more
that it was tampered with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from schemas.evidence_tables import SealRow
from service.db import Session
from service.errors import Transient
from service.leaves import COVERED, Covered
from service.merkle import unpack
from service.runtime import Runtime
from service.seal_form import (
    LOST_KEY,
    NEW_KEY,
    NO_ID,
    has_its_leaves,
    key_id_of,
    note_removed_rows,
    removal_is_signed,
    removal_key_id,
    removed_bits,
)
from service.sealing import CLOSED, kinds_of
from service.sealing_keys import SealingKey, current_key
from service.secretbox import SecretBox
from service.store import covered
from service.store import seals as store

_TABLES = {table.name: table for table in COVERED}
Places = Mapping[int, AbstractSet[int]]
"""By the numbers of seals, places of rows in them."""


class SealsChangedError(Transient):
    """Seals are not as they were when rows were compared with them."""

    code = "seals_changed"


class _Found(NamedTuple):
    """A seal, and by their places in it the rows that were asked for."""

    seal: SealRow
    places: Mapping[int, UUID]


def note_removed(
    runtime: Runtime, session: Session, table: str, ids: Collection[UUID]
) -> list[UUID]:
    """Say, signed, that rows of a table (`deliveries`, `audit_events`) are removed on purpose.

    Gives the ids that may go, in the order given; the others are not as they were sealed, and must
    stay. To be called in the transaction that deletes them, before it does, with at most some
    thousands of ids that are locked; whoever seals waits for its end. Rows that are not sealed yet
    need no note and get none. Raises ConfigurationError when the sealing key cannot be opened: then
    nothing may be deleted.
    """
    if not ids:
        return []
    store.take_turn(session)
    newest = store.newest(session)
    if newest is None:
        return list(ids)
    now = runtime.clock()
    box = SecretBox(runtime.settings.required_secret_keys())
    key = current_key(session, box, newest, now=now)
    wrong, found = _look(session, _TABLES[table], frozenset(ids))
    for seal, places in found:
        going = [place for place, id_ in places.items() if id_ not in wrong]
        if going:
            _sign_removed(seal, going, key, now)
    return [id_ for id_ in ids if id_ not in wrong]


def has_seals(session: Session) -> bool:
    """Say whether anything was sealed yet."""
    return store.newest(session) is not None


def places_of(session: Session, table: str, ids: Collection[UUID]) -> Places | None:
    """Give the places of rows in their seals; None unless all of them are as they were sealed."""
    wrong, found = _look(session, _TABLES[table], frozenset(ids))
    places = {each.seal.number: frozenset(each.places) for each in found}
    known = {id_ for each in found for id_ in each.places.values()}
    return None if wrong or len(known) < len(ids) else places


def note_removed_places(runtime: Runtime, session: Session, places: Places) -> None:
    """Say, signed, that the rows with these places are removed on purpose.

    To be called in the transaction that removes them, when nobody can have altered them since
    `places_of`. Raises ConfigurationError when the sealing key cannot be opened, and
    SealsChangedError when there are seals now that were not, or one is not as it was.
    """
    store.take_turn(session)
    newest = store.newest(session)
    if newest is None or not places:
        if newest is not None:
            raise SealsChangedError
        return
    now = runtime.clock()
    box = SecretBox(runtime.settings.required_secret_keys())
    key = current_key(session, box, newest, now=now)
    for number, going in places.items():
        seal = store.by_number(session, number)
        if seal is None or not _removal_is_ours(session, seal):
            raise SealsChangedError
        _sign_removed(seal, going, key, now)


def as_sealed(session: Session, table: str, ids: Collection[UUID]) -> list[UUID]:
    """Give those of these rows that are as they were sealed, or not sealed yet."""
    wrong, _ = _look(session, _TABLES[table], frozenset(ids))
    return [id_ for id_ in ids if id_ not in wrong]


def _sign_removed(seal: SealRow, going: Iterable[int], key: SealingKey, now: datetime) -> None:
    if note_removed_rows(seal, going, key.id, key.private):
        # Nothing is left that the leaves could speak of, and they are the bulk of a seal.
        seal.leaves = b""
        seal.pruned_at = now


def _look(
    session: Session, table: Covered, wanted: frozenset[UUID]
) -> tuple[set[UUID], list[_Found]]:
    """Give the rows that are not as they were sealed, and the seals that cover the others."""
    hashes = {row.id: row.hash for row in covered.rows_of(session, table, wanted)}
    wrong: set[UUID] = set()
    known: set[UUID] = set()
    found: list[_Found] = []
    for seal in _holding(session, table, wanted):
        if not (has_its_leaves(seal) and _removal_is_ours(session, seal)):
            # What it has recorded cannot be told, nor may anything be signed on top of it.
            wrong |= {id_ for id_ in wanted if seal.first_id <= id_ <= seal.last_id}
            continue
        bits = removed_bits(seal)
        places: dict[int, UUID] = {}
        for place, (id_, hash_) in enumerate(unpack(seal.leaves)):
            if id_ not in wanted:
                continue
            places[place] = id_
            is_there_again = bits[place // 8] >> place % 8 & 1
            if hashes.get(id_) != hash_ or is_there_again:
                wrong.add(id_)
        known.update(places.values())
        found.append(_Found(seal, places))
    newest = store.newest_of(session, table.name + CLOSED.kind)
    closed = NO_ID if newest is None else newest.last_id
    wrong |= {id_ for id_ in wanted - known if id_ <= closed}
    return wrong, found


def _holding(session: Session, table: Covered, wanted: frozenset[UUID]) -> Iterator[SealRow]:
    if not wanted:
        return
    first, last = min(wanted), max(wanted)
    for kind in kinds_of(table.name):
        yield from store.holding(session, kind, first, last)


def _removal_is_ours(session: Session, seal: SealRow) -> bool:
    """Say whether what a seal says of removed rows is signed with a key of the chain."""
    key_id = removal_key_id(seal)
    if key_id is None:
        return True
    introduced = {root.hex() for root in store.roots_of(session, (NEW_KEY, LOST_KEY))}
    row = store.key(session, key_id)
    return (
        row is not None
        and (key_id == seal.key_id or key_id in introduced)
        and key_id_of(row.public) == key_id
        and removal_is_signed(seal, row.public)
    )
