"""The sealed form of a source's signing secrets and of its path token."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from service.secretbox import SecretBox
from service.vendors.base import Secret


def seal_secrets(box: SecretBox, secrets: Sequence[Secret]) -> bytes:
    """Give the sealed form of a source's secrets."""
    return box.seal(
        [
            {
                "value": secret.value,
                "not_before": secret.not_before and secret.not_before.isoformat(),
                "not_after": secret.not_after and secret.not_after.isoformat(),
            }
            for secret in secrets
        ]
    )


def open_secrets(box: SecretBox, sealed: bytes) -> list[Secret]:
    """Give a source's secrets. Raises ConfigurationError when no key fits."""
    return [
        Secret(item["value"], _time(item["not_before"]), _time(item["not_after"]))
        for item in box.open(sealed)
    ]


def path_token_digest(token: str) -> str:
    """Give what is stored of a path token: its SHA-256 as 64 hex digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
