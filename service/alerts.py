"""Alerts: conditions with a life, and the actions by which workflows open and resolve them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field

from schemas.tables import AlertRow, AlertState
from service.db import Session
from service.store import alerts as store
from service.vendors.base import Outputs, Params


class Severity(StrEnum):
    """How urgent an alert is, in rising order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class OpenParams(Params):
    """What to open: one alert of a key is open at a time; opening it again brings it up to date."""

    key: str = Field(
        min_length=1, max_length=300, description="What the alert is about, in your own words."
    )
    title: str = Field(min_length=1, max_length=300, description="What people read of it first.")
    severity: Severity = Field(default=Severity.WARNING, description="How bad it is.")
    details: dict[str, Any] = Field(
        default_factory=dict, description="Whatever else is worth keeping with it."
    )


class ResolveParams(Params):
    """Which alert is over; nothing happens when none of this key is open."""

    key: str = Field(min_length=1, max_length=300, description="The key under which it was opened.")
    details: dict[str, Any] = Field(
        default_factory=dict, description="What is worth keeping about how it ended."
    )


class AlertOutputs(Outputs):
    """The alert after the step. `changed`: it was opened, changed its severity or was resolved."""

    id: str | None = Field(description="The alert's id; null when there is none.")
    state: str | None = Field(description="Its state: open, acknowledged or resolved.")
    severity: str | None = Field(description="Its severity now.")
    changed: bool = Field(
        description="Whether the step opened it, changed its severity or resolved it."
    )
    opened_at: datetime | None = Field(description="When it was opened.")


def open_alert(
    session: Session,
    params: OpenParams,
    *,
    now: datetime,
    event_id: UUID | None = None,
    run_id: UUID | None = None,
) -> AlertOutputs:
    """Open the alert of this key, or bring the open one up to date."""
    row = store.unresolved(session, params.key)
    if row is None:
        row = AlertRow(
            key=params.key,
            state=AlertState.OPEN,
            severity=params.severity,
            title=params.title,
            details=params.details,
            opened_at=now,
            changed_at=now,
            event_id=event_id,
            run_id=run_id,
        )
        session.add(row)
        session.flush()
        return _outputs(row, changed=True)
    changed = row.severity != params.severity
    row.title = params.title
    row.details = params.details
    if changed:
        # Worse than what somebody acknowledged is news to them.
        if _rank(params.severity) > _rank(row.severity):
            row.state = AlertState.OPEN
        row.severity = params.severity
        row.changes += 1
        row.changed_at = now
    return _outputs(row, changed=changed)


def resolve_alert(session: Session, params: ResolveParams, *, now: datetime) -> AlertOutputs:
    """Resolve the alert of this key if one is open."""
    row = store.unresolved(session, params.key)
    if row is None:
        return AlertOutputs(id=None, state=None, severity=None, changed=False, opened_at=None)
    row.state = AlertState.RESOLVED
    row.details = {**row.details, **params.details}
    row.resolved_at = row.changed_at = now
    row.changes += 1
    return _outputs(row, changed=True)


def _rank(severity: str) -> int:
    return list(Severity).index(Severity(severity))


def _outputs(row: AlertRow, *, changed: bool) -> AlertOutputs:
    return AlertOutputs(
        id=str(row.id),
        state=row.state,
        severity=row.severity,
        changed=changed,
        opened_at=row.opened_at,
    )
