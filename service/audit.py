"""Who did what: a row for everything that a person or a program with a token changes.

The row is written in the transaction of the change, so that there is none without the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from schemas.events import Json
from schemas.evidence_tables import AuditEventRow
from schemas.storable import storable
from service.db import Session
from service.tokens import Caller

SUBJECT_LENGTH = 300

Who: TypeAlias = Caller | str
"""Somebody with a token, of whom is noted what they do, or what of ours acts by itself."""


def name_of(who: Who) -> str:
    """Give the name that is shown to people."""
    return who if isinstance(who, str) else who.label


def note(
    session: Session,
    who: Who,
    action: str,
    subject: str,
    *,
    now: datetime,
    details: Mapping[str, Json] | None = None,
) -> None:
    """Do as `record` when it is somebody with a token, and nothing for what acts by itself."""
    if isinstance(who, Caller):
        record(session, who, action, subject, now=now, details=details)


def record(
    session: Session,
    caller: Caller,
    action: str,
    subject: str,
    *,
    now: datetime,
    details: Mapping[str, Json] | None = None,
) -> None:
    """Note that `caller` did `action` (`run.cancel`) to `subject` (an id or a name).

    `details` must hold no secrets and no payloads.
    """
    session.add(
        AuditEventRow(
            at=now,
            by=caller.label,
            role=caller.role,
            action=action,
            subject=storable(subject)[:SUBJECT_LENGTH],
            details=storable(dict(details or {})),
            request_id=caller.request_id,
            remote=caller.remote,
        )
    )
