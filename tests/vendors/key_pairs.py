"""Keys of which the sender keeps one half, and which half who is given."""

from __future__ import annotations

import base64
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from service.signatures import Scheme

RSA_BITS = 1024
"""Too few for anything but tests: to make and to check 2048 takes a tenth of a second."""


class Pair(NamedTuple):
    """What the sender signs with, and what the receiver verifies with."""

    private: str
    public: str


def ed25519_pair(seed: bytes) -> Pair:
    """Give both keys as hex digits."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Pair(seed.hex(), key.public_key().public_bytes_raw().hex())


def ecdsa_pair(number: int) -> Pair:
    """Give both keys as base64 of their DER."""
    key = ec.derive_private_key(number, ec.SECP256R1())
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Pair(base64.b64encode(private).decode(), base64.b64encode(public).decode())


def rsa_key() -> rsa.RSAPrivateKey:
    """Give a new key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def pair_for(scheme: Scheme, shared: str, number: int = 1) -> Pair:
    """Give a pair for the scheme; a shared secret is both of its halves."""
    if scheme.algorithm == "ed25519":
        return ed25519_pair(bytes(range(number, number + 32)))
    if scheme.algorithm == "ecdsa-p256-sha256":
        return ecdsa_pair(number)
    return Pair(shared, shared)
