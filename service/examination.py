"""One refused request under examination: what is known around it, and what may still be tried."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.tables import RejectionRow
from service.errors import SignatureError
from service.proving import Prover
from service.refused import Whole
from service.scheme_candidates import Candidate
from service.vendors.base import Delivery, Headers, Secret, Vendor

MAX_HASHED_BYTES = 64 * 1024 * 1024
MAX_COMPARED = 500


class Cause(StrEnum):
    """What is wrong, in one word."""

    CORRECTED = "corrected"
    """Nothing any more: it proves authentic with what is configured now."""
    WRONG_SECRET = "wrong_secret"  # noqa: S105  # names a cause
    OTHER_SOURCE = "other_source"
    CLOCK = "clock"
    BODY_CHANGED = "body_changed"
    HEADERS_CHANGED = "headers_changed"
    OTHER_SCHEME = "other_scheme"
    UNKNOWN_SOURCE = "unknown_source"
    WRONG_PATH = "wrong_path"
    SOURCE_CLOSED = "source_closed"
    HANDSHAKE = "handshake"
    NOT_KEPT = "not_kept"
    """Too little of it was kept to find anything out."""
    UNEXPLAINED = "unexplained"
    """A fault of ours hindered finding it out."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found out: one word for programs, and what it means and what to do for people."""

    cause: Cause
    text: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """A source as far as it can say something about a request. `secrets`: also ended ones."""

    prover: Prover
    vendor: Vendor
    options: Mapping[str, Any]
    secrets: Sequence[Secret]

    @property
    def name(self) -> str:
        """Its name."""
        return self.prover.live.name

    def candidate(self) -> Candidate | None:
        """Give its way of signing; None where nothing is signed."""
        incoming = self.prover.incoming
        if incoming is None or not incoming.wants_secret(self.prover.options):
            return None
        return Candidate(self.vendor, incoming, self.options)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What came at about the same time.

    `accepted`: when each source's newest delivery came. `late`: the sources of which something was
    refused for its time.
    """

    accepted: Mapping[str, datetime] = field(default_factory=dict)
    late: frozenset[str] = frozenset()


@dataclass(slots=True)
class Examination:
    """One request under examination, and what may still be tried."""

    row: RejectionRow
    whole: Whole
    suspects: Mapping[str, Suspect]
    around: Surroundings
    now: datetime
    compared: int = 0
    hashed: int = 0

    @property
    def name(self) -> str:
        """The name it was sent to."""
        return self.row.address or self.row.source

    @property
    def delivery(self) -> Delivery:
        """It as a delivery."""
        return self.with_body(self.row.body)

    @property
    def exhausted(self) -> bool:
        """Whether enough was tried."""
        return self.compared > MAX_COMPARED or self.hashed > MAX_HASHED_BYTES

    def with_body(self, body: bytes) -> Delivery:
        """Give it with another body."""
        return Delivery(self.name, Headers(self.whole.headers), body, self.row.received_at)

    def fits(self, candidate: Candidate, secret: str, delivery: Delivery | None = None) -> bool:
        """Say whether a secret gives the signature, whenever that was."""
        self.compared += 1
        tried = delivery or self.delivery
        self.hashed += len(tried.body)
        if self.exhausted:
            return False
        verifier = candidate.verifier(secret)
        if verifier is None:
            return False
        try:
            verifier(tried, self.row.received_at)
        except SignatureError:
            return False
        return True

    def proves(self, suspect: Suspect) -> bool:
        """Say whether it is an authentic delivery of this source."""
        self.compared += 1
        if self.exhausted:
            return False
        self.hashed += len(self.row.body)
        try:
            suspect.prover.prove(self.row, self.whole)
        except SignatureError:
            return False
        return True


def digest_fits(delivery: Delivery) -> bool | None:
    """Say whether a digest of the body that came along fits it; None without a readable one."""
    for name, value in delivery.headers.items:
        for algorithm, sent in _digests(name, value):
            found = hashlib.new(algorithm, delivery.body, usedforsecurity=False).digest()
            return base64.b64encode(found).decode() == sent
    return None


def _digests(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Read `Content-Digest` (RFC 9530), `Digest` (RFC 3230) and `Content-MD5` (RFC 1864)."""
    if name == "content-md5":
        yield "md5", value.strip()
    elif name in {"content-digest", "digest"}:
        for part in value.split(","):
            key, _, sent = part.strip().partition("=")
            algorithm = {"sha-256": "sha256", "sha-512": "sha512"}.get(key.lower())
            if algorithm is not None:
                yield algorithm, sent.strip(":")
