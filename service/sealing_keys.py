"""The keys that seals are signed with: made at first use, kept sealed, changed when asked for."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.evidence_tables import SealingKeyRow, SealRow
from service.db import Session
from service.errors import ConfigurationError
from service.seal_form import NEW_KEY, key_id_of
from service.secretbox import SecretBox
from service.store import seals as store


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key that can sign."""

    id: str
    private: Ed25519PrivateKey


def current_key(
    session: Session, box: SecretBox, newest: SealRow | None, *, now: datetime
) -> SealingKey:
    """Give the key that the next seal is signed with; the first of a chain is made now.

    `newest` is the end of the chain: which key follows is said by the chain and not by the table
    of keys, which is not signed. Raises ConfigurationError when the key is gone or cannot be
    opened.
    """
    if newest is None:
        rows = [row for row in store.every_key(session) if row.retired_at is None]
        return _open(rows[-1], box) if rows else make_key(session, box, now=now)
    key_id = newest.root.hex() if newest.covers == NEW_KEY else newest.key_id
    row = store.key(session, key_id)
    if row is None:
        raise ConfigurationError(
            f"the sealing key {key_id} is not in the table `sealing_keys` any more",
            hint="bring the row back from a backup of the database",
        )
    return _open(row, box)


def make_key(session: Session, box: SecretBox, *, now: datetime) -> SealingKey:
    """Make a new key and store it."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    sealed = box.seal(base64.b64encode(private.private_bytes_raw()).decode())
    made = SealingKey(key_id_of(public), private)
    session.add(SealingKeyRow(id=made.id, public=public, private=sealed, created_at=now))
    return made


def _open(row: SealingKeyRow, box: SecretBox) -> SealingKey:
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(str(box.open(row.private))))
    return SealingKey(key_id_of(private.public_key().public_bytes_raw()), private)
