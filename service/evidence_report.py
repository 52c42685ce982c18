"""What `verify` is asked, and what it tells: findings one by one, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from service.leaves import COVERED, Covered
from service.seal_head import Head


class What(StrEnum):
    """What is wrong."""

    ALTERED = "altered"
    MISSING = "missing"
    ADDED = "added"
    SEAL = "seal"
    """A seal, its signature or the chain of seals."""
    KEY_LOST = "key_lost"
    """The sealing key was lost, and a new one took its place that no key vouches for."""
    DAMAGED = "damaged"
    """The database cannot read what it keeps."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `time` is when a row's id was made, or a seal."""

    what: What
    detail: str
    table: str | None = None
    id: str | None = None
    source: str | None = None
    time: datetime | None = None
    seal: int | None = None


@dataclass(slots=True)
class Counted:
    """What was found in one table. `unsealed` rows are too young, or nobody has sealed them yet."""

    sealed: int = 0
    unsealed: int = 0
    removed: int = 0
    """By retention, as is signed."""
    late: int = 0
    """Sealed, but only when they were looked for later."""


@dataclass(slots=True)
class Summary:
    """What was verified; complete when there are no more findings."""

    seals: int = 0
    head: Head | None = None
    sealed_until: datetime | None = None
    tables: dict[str, Counted] = field(default_factory=dict)
    key_ids: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be verified, and what is known from elsewhere.

    `since` None: everything. `public_keys` (32 bytes each) are those with which a chain may begin,
    or go on after a key was lost; none: the first seal's. `expected` are seals that the chain must
    hold.
    """

    tables: Sequence[Covered] = COVERED
    since: datetime | None = None
    public_keys: Sequence[bytes] = ()
    expected: Sequence[Head] = ()


Progress = Callable[[int, int], None]
"""Is told how many sealed rows were looked at, of how many."""
