"""Signatures of which the sender keeps one half of the key: Ed25519, and ECDSA on P-256.

A verifier is given the public key. Signing, with the private one, is for tests and `send`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from service.errors import ConfigurationError

Proof: TypeAlias = Callable[[Sequence[bytes], bytes, bytes, bytes], bool]
"""Says whether any candidate is the signature of head + body + tail."""

ED25519_BYTES = range(64, 65)
_ED25519_KEY_BYTES = 32
# Two numbers of 1 to 33 bytes, each with two bytes before it, and two before both (X.690, DER).
ECDSA_BYTES = range(8, 73)
_ECDSA_SHA256 = ECDSA(SHA256())


def ed25519_proof(material: bytes) -> Proof:
    """Give the check with this raw public key. Raises ConfigurationError."""
    try:
        public = Ed25519PublicKey.from_public_bytes(material)
    except ValueError as error:
        raise ConfigurationError("a signing secret is no Ed25519 public key") from error
    return _proof(public.verify)


def ecdsa_proof(material: bytes) -> Proof:
    """Give the check with this public key in DER. Raises ConfigurationError."""
    try:
        public = load_der_public_key(material)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("a signing secret is no public key in DER") from error
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        raise ConfigurationError("a signing secret is no public key of the curve P-256")

    def verify(candidate: bytes, message: bytes) -> None:
        public.verify(candidate, message, _ECDSA_SHA256)

    return _proof(verify)


def _proof(verify: Callable[[bytes, bytes], None]) -> Proof:
    def proves(candidates: Sequence[bytes], head: bytes, body: bytes, tail: bytes) -> bool:
        message = head + body + tail
        matched = False
        for candidate in candidates:
            try:
                verify(candidate, message)
            except InvalidSignature:
                continue
            matched = True
        return matched

    return proves


def sign_ed25519(material: bytes, message: bytes) -> bytes:
    """Sign with a private key: its seed, perhaps with the public key behind it.

    Raises ConfigurationError.
    """
    try:
        private = Ed25519PrivateKey.from_private_bytes(material[:_ED25519_KEY_BYTES])
    except ValueError as error:
        raise ConfigurationError("a signing secret is no Ed25519 private key") from error
    return private.sign(message)


def sign_ecdsa(material: bytes, message: bytes) -> bytes:
    """Sign with a private key in DER (PKCS #8). Raises ConfigurationError."""
    try:
        private = load_der_private_key(material, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            "a signing secret is no private key in DER",
            hint="the sender keeps the private key, so only the sender can sign",
        ) from error
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise ConfigurationError("a signing secret is no private key of the curve P-256")
    return private.sign(message, _ECDSA_SHA256)
