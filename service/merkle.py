"""The Merkle tree over a batch of rows (the tree of RFC 6962 §2.1).

Leaves and nodes are hashed with different first bytes, so that neither can be taken for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from uuid import UUID

ID_BYTES = 16
HASH_BYTES = 32
ENTRY_BYTES = ID_BYTES + HASH_BYTES
"""What is kept of each row: its id, and the hash of what must not change."""

_LEAF = b"\x00"
_NODE = b"\x01"

Entry = tuple[UUID, bytes]


def pack(entries: Iterable[Entry]) -> bytes:
    """Give entries as they are stored."""
    return b"".join([id_.bytes + hash_ for id_, hash_ in entries])


def unpack(leaves: bytes) -> Iterator[Entry]:
    """Give stored entries back; what is no whole entry is left out."""
    for start in range(0, len(leaves) - ENTRY_BYTES + 1, ENTRY_BYTES):
        middle = start + ID_BYTES
        yield UUID(bytes=leaves[start:middle]), leaves[middle : start + ENTRY_BYTES]


def root_of(leaves: bytes) -> bytes:
    """Give the root over stored entries, whatever they hold; the hash of nothing when empty."""
    level = [
        sha256(_LEAF + leaves[start : start + ENTRY_BYTES]).digest()
        for start in range(0, len(leaves), ENTRY_BYTES)
    ]
    if not level:
        return sha256().digest()
    while len(level) > 1:
        alone = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(_NODE + left + right).digest() for left, right in pairs] + alone
    return level[0]
