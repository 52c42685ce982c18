"""Trying schemes on one captured delivery, within bounds, whatever the request holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.errors import SignatureError
from service.vendors.base import Delivery, Headers, Verifier

MAX_TRIALS = 20_000
MAX_HASHED_BYTES = 2 * 1024**3
ANY_SECRET = "00" * 32
"""Valid text, base64 and hex, and the right length for an Ed25519 key."""


@dataclass(slots=True)
class Budget:
    """How much may still be tried."""

    trials: int = MAX_TRIALS
    most_hashed: int = MAX_HASHED_BYTES
    hashed: int = 0

    def spend(self) -> bool:
        """Take one trial, if there is one left."""
        self.trials -= 1
        return not self.exhausted

    def hash(self, size: int) -> None:
        """Note that a body of so many bytes went through a sum."""
        self.hashed += size

    @property
    def exhausted(self) -> bool:
        """Whether nothing more may be tried."""
        return self.trials < 0 or self.hashed > self.most_hashed


@dataclass(slots=True)
class Trials:
    """One request, and what it is tried with.

    `written` are the names of its headers as they were sent, by their lower case; `source` is the
    name to write into the configuration.
    """

    delivery: Delivery
    secrets: Sequence[str]
    now: datetime
    budget: Budget
    written: Mapping[str, str]
    source: str | None = None

    def reason(
        self,
        verifier: Verifier | None,
        delivery: Delivery | None = None,
        now: datetime | None = None,
    ) -> str | None:
        """Give why a check refuses, `unusable` when there is none, None when it lets pass."""
        if verifier is None or not self.budget.spend():
            return "unusable"
        tried = delivery or self.delivery
        try:
            verifier(tried, now or self.now)
        except SignatureError as error:
            if error.reason == "signature_mismatch":
                self.budget.hash(len(tried.body))
            return error.reason
        self.budget.hash(len(tried.body))
        return None


def headers_of(trials: Trials, verifier: Verifier) -> tuple[tuple[str, ...], str]:
    """Give the headers that a check needs, and the one with the signature.

    They are found by taking one away at a time, so that it holds for any vendor's own check. What
    is missing is told before anything is summed up, so it is asked with an empty body.
    """
    delivery = altered(trials.delivery, body=b"")
    names = list(dict.fromkeys(name for name, _ in delivery.headers.items))
    used = []
    signature = ""
    for name in names:
        rest = [pair for pair in delivery.headers.items if pair[0] != name]
        if trials.reason(verifier, altered(delivery, rest)) != "missing_header":
            continue
        used.append(name)
        spoilt = trials.reason(verifier, altered(delivery, [*rest, (name, "x")]))
        # A time is malformed as a time, an id spoils the sum: only a signature loses its form.
        if spoilt == "malformed_header" or (not signature and spoilt != "malformed_time"):
            signature = name
    return tuple(used), signature or "".join(used[:1])


def altered(
    delivery: Delivery, items: Sequence[tuple[str, str]] | None = None, body: bytes | None = None
) -> Delivery:
    """Give a delivery with other headers, another body, or both."""
    headers = delivery.headers if items is None else Headers(items)
    return Delivery(
        delivery.source, headers, delivery.body if body is None else body, delivery.received_at
    )
