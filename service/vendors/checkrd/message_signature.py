"""HTTP message signatures (RFC 9421) with Ed25519, as far as Checkrd's telemetry needs them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LABEL = "checkrd"
SIGNER_AGENT = "X-Checkrd-Signer-Agent"
LIFETIME = timedelta(seconds=300)


@dataclass(frozen=True, slots=True)
class TelemetrySigner:
    """Signs as one agent: its id, the id of its key, and the private key of 32 bytes."""

    agent_id: str
    key_id: str
    private_key: Ed25519PrivateKey = field(repr=False)

    def headers(
        self, method: str, url: str, body: bytes, now: datetime, nonce: str
    ) -> dict[str, str]:
        """Give the headers that sign this request; `nonce` is 32 hex digits, new every time.

        Components, label and lifetime are those of vendors.md §9.6.
        """
        digest = content_digest(body)
        created = int(now.timestamp())
        expires = created + int(LIFETIME.total_seconds())
        components = (
            ("@method", method),
            ("@target-uri", url),
            ("content-digest", digest),
            (SIGNER_AGENT.lower(), self.agent_id),
        )
        params = (
            f"{component_list(components)};created={created};expires={expires}"
            f';keyid="{self.key_id}";alg="ed25519";nonce="{nonce}"'
        )
        signature = self.private_key.sign(signature_base(components, params))
        return {
            "Content-Digest": digest,
            SIGNER_AGENT: self.agent_id,
            "Signature-Input": f"{LABEL}={params}",
            "Signature": f"{LABEL}=:{base64.b64encode(signature).decode()}:",
        }


def content_digest(body: bytes) -> str:
    """Give the value of `Content-Digest` (RFC 9530) with SHA-256."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def component_list(components: Sequence[tuple[str, str]]) -> str:
    """Give the names of what is signed as an inner list (RFC 9421 §2.3)."""
    return f"({' '.join(_quoted(name) for name, _ in components)})"


def signature_base(components: Sequence[tuple[str, str]], params: str) -> bytes:
    """Give the bytes that are signed (RFC 9421 §2.5): names in lower case, values as sent."""
    lines = [f"{_quoted(name)}: {value}" for name, value in components]
    return "\n".join([*lines, f'"@signature-params": {params}']).encode("ascii")


def _quoted(name: str) -> str:
    return f'"{name}"'
