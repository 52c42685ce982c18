"""What a seal says, byte for byte: what is signed, how seals are chained, who removed what.

No database and no files here. The form is described for outsiders in docs/tamper-evidence.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import Struct, pack
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.evidence_tables import SealRow
from service.merkle import ENTRY_BYTES, root_of

NOTHING_BEFORE = bytes(32)
"""What the first seal of a chain has as `previous`."""
NO_ID = UUID(int=0)
NEW_KEY = "sealing_keys"
"""`covers` of a seal that introduces the key of the seals after it; `root` is the new key's id."""
LOST_KEY = "sealing_keys.lost"
"""Likewise, signed with the new key itself: the one before it could not be opened any more."""

_SEAL = b"hookwright seal 1"
_REMOVAL = b"hookwright removal 1"
_NUMBER = Struct("!q")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_KEY_ID_BYTES = 32
_SIGNATURE_BYTES = 64


def key_id_of(public: bytes) -> str:
    """Give the id of a public key (32 bytes)."""
    return sha256(public).hexdigest()


def joined(*parts: bytes) -> bytes:
    """Give parts as one text that can be taken apart in one way only.

    It is their number, their lengths, each as 32 bits with the highest byte first, and then they.
    """
    return b"".join((pack(f"!{len(parts) + 1}I", len(parts), *map(len, parts)), *parts))


def microseconds(moment: datetime) -> int:
    """Give a time as microseconds since 1970, UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def sign(seal: SealRow, key: Ed25519PrivateKey) -> None:
    """Put the signature under everything else that a seal says."""
    seal.signature = key.sign(_statement(seal))


def is_signed(seal: SealRow, public: bytes) -> bool:
    """Say whether a seal's signature is this key's."""
    return _fits(public, seal.signature, _statement(seal))


def digest_of(seal: SealRow) -> bytes:
    """Give what stands for a seal, and with it for the whole chain before it."""
    return sha256(joined(_statement(seal), seal.signature)).digest()


def has_its_leaves(seal: SealRow) -> bool:
    """Say whether a seal's list of rows is the one whose root was signed."""
    return len(seal.leaves) == seal.count * ENTRY_BYTES and root_of(seal.leaves) == seal.root


def note_removed_rows(
    seal: SealRow, positions: Iterable[int], key_id: str, key: Ed25519PrivateKey
) -> bool:
    """Say, signed, that retention removed these rows of a seal; gives whether these were all."""
    bits = bytearray(removed_bits(seal))
    for position in positions:
        bits[position // 8] |= 1 << position % 8
    signature = key.sign(_removal(seal, bytes(bits)))
    seal.removed = bytes.fromhex(key_id) + signature + bytes(bits)
    return sum(byte.bit_count() for byte in bits) == seal.count


def removed_bits(seal: SealRow) -> bytes:
    """Give a bit for each row of a seal, the lowest of a byte first: 1 when it was removed."""
    size = (seal.count + 7) // 8
    kept = (seal.removed or b"")[_KEY_ID_BYTES + _SIGNATURE_BYTES :]
    return kept[:size].ljust(size, b"\x00")


def removal_key_id(seal: SealRow) -> str | None:
    """Give the id of the key that signed what was removed; None when nothing was."""
    return None if seal.removed is None else seal.removed[:_KEY_ID_BYTES].hex()


def removal_is_signed(seal: SealRow, public: bytes) -> bool:
    """Say whether what a seal says of removed rows was signed with this key."""
    signature = (seal.removed or b"")[_KEY_ID_BYTES:][:_SIGNATURE_BYTES]
    exact = _KEY_ID_BYTES + _SIGNATURE_BYTES + (seal.count + 7) // 8
    return len(seal.removed or b"") == exact and _fits(
        public, signature, _removal(seal, removed_bits(seal))
    )


def _statement(seal: SealRow) -> bytes:
    return joined(
        _SEAL,
        _NUMBER.pack(seal.number),
        seal.covers.encode(),
        seal.first_id.bytes,
        seal.last_id.bytes,
        _NUMBER.pack(seal.count),
        seal.root,
        seal.previous,
        seal.key_id.encode(),
        _NUMBER.pack(microseconds(seal.sealed_at)),
    )


def _removal(seal: SealRow, bits: bytes) -> bytes:
    return joined(_REMOVAL, digest_of(seal), bits)


def _fits(public: bytes, signature: bytes, statement: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True
