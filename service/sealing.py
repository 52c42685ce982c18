"""Sealing: rows that must not change are covered by signed batches, some time after they came.

The door has no part in it. What a seal says stands in seal_form.py, how seals are verified in
evidence.py, the whole of it in docs/tamper-evidence.md.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from service.db import Session
from service.merkle import unpack
from service.runtime import Runtime
from service.seal_form import note_removed_rows
from service.sealing_keys import current_key
from service.secretbox import SecretBox
from service.store import seals as store

LATE = ".late"
"""`covers` of a table's seals of rows that came late, behind its name."""
CLOSED = ".closed"
"""Likewise of the last look: behind it nothing may be added to the time it covers."""


def note_removed(runtime: Runtime, session: Session, table: str, ids: Collection[UUID]) -> None:
    """Say, signed, that rows of a table (`deliveries`, `audit_events`) are removed on purpose.

    To be called in the transaction that deletes them, with at most some thousands of ids at a
    time; whoever seals waits for its end. Rows that are not sealed yet need no note and get none.
    Raises ConfigurationError when the sealing key cannot be opened: then nothing may be deleted.
    """
    if not ids:
        return
    store.take_turn(session)
    newest = store.newest(session)
    if newest is None:
        return
    now = runtime.clock()
    box = SecretBox(runtime.settings.required_secret_keys())
    key = current_key(session, box, newest, now=now)
    wanted = frozenset(ids)
    first, last = min(wanted), max(wanted)
    for kind in (table, table + LATE, table + CLOSED):
        for seal in store.holding(session, kind, first, last):
            places = [place for place, (id_, _) in enumerate(unpack(seal.leaves)) if id_ in wanted]
            if places and note_removed_rows(seal, places, key.id, key.private):
                # Nothing is left that the leaves could speak of, and they are the bulk of a seal.
                seal.leaves = b""
                seal.pruned_at = now
