"""Alerts: conditions with a life, and the actions by which workflows open and resolve them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from schemas.events import AlertFacts, EventDraft
from schemas.states import AlertState, Severity
from schemas.storable import storable
from schemas.tables import AlertRow
from service.errors import Conflict, NotFound
from service.own_events import Announce
from service.store import alerts as store
from service.unit_of_work import UnitOfWork
from service.vendors.base import Outputs, Params

OPENED = "alert.opened"
ACKNOWLEDGED = "alert.acknowledged"
RESOLVED = "alert.resolved"
NOTES = "notes"
"""Where an alert's details hold what people said of it, with who said it."""
DOUBT = "in-doubt:"
"""What the key of an alert about a step in doubt begins with."""


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
    work: UnitOfWork,
    params: OpenParams,
    *,
    now: datetime,
    announce: Announce,
    event_id: UUID | None = None,
    run_id: UUID | None = None,
) -> AlertOutputs:
    """Open the alert of this key, or bring the open one up to date.

    `alert.opened` tells of it, also when an open one becomes worse.
    """
    row = store.unresolved(work.session, params.key)
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
        work.session.add(row)
        work.session.flush()
        _tell(work, row, OPENED, announce)
        return _outputs(row, changed=True)
    changed = row.severity != params.severity
    row.title = params.title
    # What people said of it stays with it.
    said = {name: row.details[name] for name in ("acknowledged_by", NOTES) if name in row.details}
    row.details = {**params.details, **said}
    if changed:
        is_worse = _rank(params.severity) > _rank(row.severity)
        row.severity = params.severity
        row.changes += 1
        row.changed_at = now
        if is_worse:
            # Worse than what somebody acknowledged is news to them.
            row.state = AlertState.OPEN
            _tell(work, row, OPENED, announce)
    return _outputs(row, changed=changed)


def acknowledge_alert(
    work: UnitOfWork,
    alert_id: UUID,
    *,
    who: str,
    now: datetime,
    announce: Announce,
    note: str | None = None,
) -> AlertOutputs:
    """Record that somebody has taken an open alert on; who has it keeps it, and all notes are kept.

    Raises NotFound, and Conflict when it is resolved.
    """
    row = _lock(work, alert_id)
    if row.state == AlertState.RESOLVED:
        raise Conflict("the alert is resolved")
    changed = row.state == AlertState.OPEN
    _keep_note(row, who, note)
    if changed:
        row.state = AlertState.ACKNOWLEDGED
        row.details = {**row.details, "acknowledged_by": who}
        row.changes += 1
        row.changed_at = now
        _tell(work, row, ACKNOWLEDGED, announce)
    return _outputs(row, changed=changed)


def resolve_alert(
    work: UnitOfWork, params: ResolveParams, *, now: datetime, announce: Announce
) -> AlertOutputs:
    """Resolve the alert of this key if one is open; `alert.resolved` tells of it."""
    row = store.unresolved(work.session, params.key)
    if row is None:
        return AlertOutputs(id=None, state=None, severity=None, changed=False, opened_at=None)
    return _resolve(work, row, params.details, now, announce)


def resolve_one(
    work: UnitOfWork,
    alert_id: UUID,
    *,
    who: str,
    now: datetime,
    announce: Announce,
    note: str | None = None,
) -> AlertOutputs:
    """Record that somebody says an alert is over; once is enough. Raises NotFound."""
    row = _lock(work, alert_id)
    _keep_note(row, who, note)
    if row.state == AlertState.RESOLVED:
        return _outputs(row, changed=False)
    return _resolve(work, row, {"resolved_by": who}, now, announce)


def add_details(work: UnitOfWork, key: str, details: Mapping[str, Any]) -> bool:
    """Keep more with the alert of this key that is not over; False when there is none."""
    row = store.unresolved(work.session, key)
    if row is not None:
        row.details = {**row.details, **details}
    return row is not None


def key_of_doubt(run_id: UUID, step: str) -> str:
    """Give the key of the alert about a step in doubt of a run or branch."""
    return f"{DOUBT}{run_id}:{step}"


def _lock(work: UnitOfWork, alert_id: UUID) -> AlertRow:
    row = store.locked(work.session, alert_id)
    if row is None:
        raise NotFound("there is no alert with this id")
    return row


def _keep_note(row: AlertRow, who: str, note: str | None) -> None:
    """Keep a note beside those of others."""
    if note is not None:
        said = {"by": who, "note": storable(note)}
        earlier = row.details.get(NOTES, [])
        # A workflow may have a word of its own there.
        kept = earlier if isinstance(earlier, list) else [earlier]
        row.details = {**row.details, NOTES: [*kept, said]}


def _resolve(
    work: UnitOfWork, row: AlertRow, details: Mapping[str, Any], now: datetime, announce: Announce
) -> AlertOutputs:
    row.state = AlertState.RESOLVED
    row.details = {**row.details, **details}
    row.resolved_at = row.changed_at = now
    row.changes += 1
    _tell(work, row, RESOLVED, announce)
    return _outputs(row, changed=True)


def _tell(work: UnitOfWork, row: AlertRow, type_: str, announce: Announce) -> None:
    """Make the event of a change; the count of changes tells two of one alert apart."""
    facts = AlertFacts(
        alert_id=str(row.id),
        key=row.key,
        title=row.title,
        severity=row.severity,
        state=row.state,
        details=row.details,
        run_id=None if row.run_id is None else str(row.run_id),
    )
    draft = EventDraft(
        type=type_, vendor_type=type_, subject=row.key, facts=facts.model_dump(mode="json")
    )
    announce(work, draft, f"{type_}:{row.id}:{row.changes}")


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
