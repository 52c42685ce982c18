"""Checks the signature of telemetry (reference 9.6), from the wire and nothing else."""

import base64
import binascii
import hashlib
import re
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.requests import Request

COMPONENTS = ("@method", "@target-uri", "content-digest", "x-checkrd-signer-agent")
_INPUT = re.compile(r'checkrd=(\(([^()]*)\);created=(\d+);expires=(\d+);keyid="([^"]*)".*)')
_NONCE = re.compile(r';nonce="([0-9a-f]{32})"')


def fault_of(request: Request, body: bytes, public_key: str, seen: set[str]) -> str | None:
    """What is wrong with a request's signature; `None` when nothing is.

    `public_key` is base64 of 32 bytes; `seen` holds the nonces that were used.
    """
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    if request.headers.get("content-digest") != digest:
        return "Content-Digest does not fit the body"
    found = _INPUT.fullmatch(request.headers.get("signature-input", ""))
    if found is None:
        return "Signature-Input is missing or malformed"
    params, names, created, expires = found[1], found[2], int(found[3]), int(found[4])
    now, nonce = int(time.time()), _NONCE.search(params)
    used = nonce[1] if nonce is not None else None
    covers = tuple(names.replace('"', "").split(" ")) == COMPONENTS
    good = created <= now + 5 and now < expires <= created + 300
    for holds, words in (
        (covers and 'alg="ed25519"' in params, "Signature-Input does not cover what it has to"),
        (good, "The signature is not good at this time"),
        (used is not None and used not in seen, "The nonce is missing or was used before"),
    ):
        if not holds:
            return words
    values = (request.method, str(request.url), digest)
    lines = [f'"{name}": {value}' for name, value in zip(COMPONENTS, values, strict=False)]
    lines.append(f'"{COMPONENTS[3]}": {request.headers.get(COMPONENTS[3], "")}')
    lines.append(f'"@signature-params": {params}')
    given = request.headers.get("signature", "").removeprefix("checkrd=:").removesuffix(":")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        key.verify(base64.b64decode(given), "\n".join(lines).encode())
    except (InvalidSignature, ValueError, binascii.Error):
        return "The signature does not fit"
    seen.add(used or "")
    return None
