"""How far retention has come: which kinds of rows there are, and where the next portion begins.

It is a row beside the policy, written with each portion.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError

from service.db import Session
from service.errors import Transient
from service.store import retention as store
from service.store.policies import read_policy, set_policy
from service.store.retention import Kind

PROGRESS = "retention_progress"
KINDS: tuple[Kind, ...] = (
    store.DELIVERIES,
    store.RUNS,
    # Only when runs are gone nothing needs their events and effects any more.
    store.EVENTS,
    store.EFFECTS,
    store.ALERTS,
    store.GAPS,
    store.RECONCILIATIONS,
    store.BULK_JOBS,
    store.TOKENS,
    store.AUDIT_EVENTS,
)
_BEFORE_ALL = UUID(int=0)


class KeysLeft(BaseModel):
    """Keys of a partition that is gone: of rows from the id `first` on and before `behind`."""

    table: str
    first: UUID
    behind: UUID


class Progress(BaseModel):
    """How far the rows have been gone through.

    `kind` is the place in KINDS (None: between two rounds), `after` the id up to which they were.
    `removed` counts the rows of this round, or of the last one. `keys` are still to be forgotten.
    `error` is why nothing could be removed, since `failing_since`. `turn` counts how often this was
    written.
    """

    turn: int = 0
    kind: int | None = Field(default=None, ge=0, lt=len(KINDS))
    after: UUID = _BEFORE_ALL
    removed: dict[str, int] = {}
    keys: tuple[KeysLeft, ...] = ()
    began_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    failing_since: datetime | None = None

    def begun(self, now: datetime) -> Progress:
        """Give the place in the round that is under way, or the beginning of the next."""
        if self.kind is not None:
            return self
        return self.model_copy(
            update={"kind": 0, "after": _BEFORE_ALL, "began_at": now, "removed": {}}
        )

    def counting(self, name: str, removed: int) -> Progress:
        """Give the same with rows of this kind that were removed; so nothing hinders it now."""
        counts = self.removed | {name: self.removed.get(name, 0) + removed}
        return self.model_copy(update={"removed": counts, "error": None, "failing_since": None})

    def behind(self, reached: UUID | None, now: datetime) -> Progress:
        """Give the place behind what was looked at (None: all rows of this kind)."""
        if reached is not None:
            return self.model_copy(update={"after": reached})
        if self.kind is not None and self.kind + 1 < len(KINDS):
            return self.model_copy(update={"kind": self.kind + 1, "after": _BEFORE_ALL})
        ended = {"kind": None, "ended_at": now, "error": None, "failing_since": None}
        return self.model_copy(update=ended)


class OvertakenError(Transient):
    """Another process has gone on meanwhile: for a moment two may lead."""

    code = "overtaken"


def current_progress(session: Session, *, to_write: bool = False) -> Progress:
    """Give how far the rows have been gone through; `to_write`: what it is when we write it."""
    try:
        return Progress.model_validate(read_policy(session, PROGRESS, to_write=to_write) or {})
    except ValidationError:
        # Another release wrote it: nothing is lost by beginning anew.
        return Progress()


def write_progress(session: Session, progress: Progress, now: datetime) -> None:
    """Write how far it has come. Raises OvertakenError when others have, since it was read."""
    if current_progress(session, to_write=True).turn != progress.turn:
        raise OvertakenError
    written = progress.model_copy(update={"turn": progress.turn + 1})
    set_policy(session, PROGRESS, written.model_dump(mode="json"), now=now)
