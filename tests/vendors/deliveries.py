"""Deliveries made by hand, and what a verifier says of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from service.errors import SignatureError
from service.vendors.base import Delivery, Headers, Signed, Verifier

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""1767225600 in Unix seconds: the time of our own vectors (vendors.md §11)."""

# What proxies and senders add; a verifier has to find its headers among others.
NOISE = (
    ("Host", "hooks.example"),
    ("User-Agent", "sender/1.0"),
    ("Accept", "*/*"),
    ("X-Request-Id", "7"),
)


def make_delivery(
    headers: Iterable[tuple[str, str]], body: bytes, at: datetime = NOW, source: str = "s"
) -> Delivery:
    """Give a delivery as the door makes it: header names in lower case."""
    pairs = [(name.lower(), value) for name, value in (*NOISE, *headers)]
    return Delivery(source=source, headers=Headers(pairs), body=body, received_at=at)


def as_delivery(signed: Signed, at: datetime = NOW) -> Delivery:
    """Give what arrives of a signed request."""
    return make_delivery(signed.headers, signed.body, at)


def refusal(verify: Verifier, delivery: Delivery, now: datetime = NOW) -> str:
    """Give the reason for which the verifier refuses; the test fails when it does not."""
    with pytest.raises(SignatureError) as caught:
        verify(delivery, now)
    return caught.value.reason
