"""What is found out about a captured delivery, in a form for people and one for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TimeVerdict:
    """What the signed time says: whether there is one, and whether the door takes it now."""

    signed: bool
    accepted_now: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Match:
    """A scheme under which a secret gives the signature that was sent."""

    vendor: str
    title: str
    scheme: str
    header: str
    headers: tuple[str, ...]
    secret: int
    secret_encoding: str | None
    options: Mapping[str, Any]
    time: TimeVerdict
    configuration: str


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A scheme whose header is there, and why it does not match, in a sentence."""

    vendor: str
    scheme: str
    header: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found out: the likeliest match first; near misses only where nothing matches."""

    matches: tuple[Match, ...]
    near_misses: tuple[NearMiss, ...]
    signature_headers: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "matches": [
                {
                    **{name: getattr(match, name) for name in _SHOWN},
                    "headers": list(match.headers),
                    "options": dict(match.options),
                    "time": {
                        "signed": match.time.signed,
                        "accepted_now": match.time.accepted_now,
                        "detail": match.time.detail,
                    },
                }
                for match in self.matches
            ],
            "near_misses": [
                {name: getattr(miss, name) for name in _SHOWN_MISS} for miss in self.near_misses
            ],
            "signature_headers": list(self.signature_headers),
            "notes": list(self.notes),
        }


_SHOWN = ("vendor", "title", "scheme", "header", "secret", "secret_encoding", "configuration")
_SHOWN_MISS = ("vendor", "scheme", "header", "reason", "detail")
