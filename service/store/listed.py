"""Which rows each large list asks for: through which index, and narrowed by what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from sqlmodel import Session, select

from schemas.api_alerts import AlertQuestion
from schemas.api_deliveries import DeliveryQuestion
from schemas.api_events import EventQuestion
from schemas.api_runs import RunQuestion
from schemas.auditing import AuditFilter
from schemas.configured_tables import SourceRow
from schemas.effect_lists import EffectQuestion
from schemas.states import AlertState, DeliveryState, EffectState, Severity
from schemas.workflow import RunStatus
from service.store.keyset import first_values, kinds_of
from service.store.keyset_sql import Keyset, Values, Wanted

# A request that was refused and accepted later came before its id was made.
DELIVERIES = Keyset(
    "deliveries", "received_at", ("source", "state"), odd="rejection_id IS NOT NULL"
)
EVENTS = Keyset("events", "received_at", ("vendor", "coalesce(source, '')", "type"))
RUNS = Keyset("runs", "created_at", ("workflow", "status"), always="parent_id IS NULL")
EFFECTS = Keyset("effects", "intended_at", ("action", "connection", "state"))
AUDIT_EVENTS = Keyset("audit_events", "at", ("action", '"by"'))
ALERTS = Keyset("alerts", "opened_at", ("state", "severity"))
ESCAPE = "\\"
"""What stands before a sign of a pattern that means itself."""
_WAITS_FOR = (
    "id IN (SELECT coalesce(waiting.root_id, waiting.id) FROM waits"
    " JOIN runs AS waiting ON waiting.id = waits.run_id WHERE waits.kind = :waiting_for)"
)


def wanted_deliveries(session: Session, question: DeliveryQuestion) -> Wanted:
    """Give which deliveries are asked for, but for what is looked for in their keys."""
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.source is None and question.vendor is None and question.state is None:
        return Wanted(**times)
    states = [question.state] if question.state else list(DeliveryState)
    stored = {question.source} if question.source else first_values(session, DELIVERIES)
    alone = _given(source=question.source, state=question.state)
    if question.vendor is None:
        return Wanted(_each(stored, states), alone, **times)
    # A source may have had another vendor once.
    vendor = {"vendor": question.vendor}
    among = _of_vendor(session, question.vendor, stored, states)
    return Wanted(among, alone, ("vendor = :vendor",), values=vendor, **times)


def wanted_events(session: Session, question: EventQuestion) -> Wanted:
    """Give which events are asked for, but for the words they have."""
    among = None
    alone = _given(vendor=question.vendor)
    if question.source:
        alone[EVENTS.columns[1]] = [question.source]
    if question.type or question.vendor or question.source:
        kinds = kinds_of(session, "events")
        among = [
            (vendor, source, type_)
            for vendor, source, type_ in kinds
            if question.vendor in {None, vendor}
            and question.source in {None, source}
            and fits(question.type, type_)
        ]
        alone |= _fitting(question.type, "type", {type_ for _, _, type_ in kinds})
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.subject is None:
        return Wanted(among, alone, **times)
    subject = {"subject": question.subject}
    return Wanted(among, alone, ("subject = :subject",), values=subject, are_few=True, **times)


def wanted_runs(session: Session, question: RunQuestion) -> Wanted:
    """Give which runs are asked for; never their branches."""
    workflows = [question.workflow] if question.workflow else _firsts(session, "runs")
    states = [question.status] if question.status else list(RunStatus)
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if question.event is not None:
        conditions.append("event_id = :event")
        values["event"] = question.event
    if question.waiting_for is not None:
        conditions.append(_WAITS_FOR)
        values["waiting_for"] = question.waiting_for.value
    among = _each(workflows, states)
    return Wanted(
        among if not conditions or question.workflow or question.status else None,
        _given(workflow=question.workflow, status=question.status),
        tuple(conditions),
        values=values,
        in_no_order=bool(conditions),
        since=question.since,
        until=question.until,
    )


def wanted_effects(session: Session, question: EffectQuestion) -> Wanted:
    """Give which effects are asked for."""
    among = None
    alone = _given(connection=question.connection, state=question.state)
    if question.action or question.connection or question.state:
        states = [question.state] if question.state else list(EffectState)
        kinds = kinds_of(session, "effects")
        among = [
            (action, connection, state.value)
            for action, connection, _ in kinds
            if question.connection in {None, connection} and fits(question.action, action)
            for state in states
        ]
        alone |= _fitting(question.action, "action", {action for action, _, _ in kinds})
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.run is None:
        return Wanted(among, alone, **times)
    run = {"run": question.run}
    return Wanted(among, alone, ("run_id = :run",), values=run, in_no_order=True, **times)


def wanted_audit_events(session: Session, question: AuditFilter) -> Wanted:
    """Give which audit events are asked for."""
    among = None
    alone: dict[str, Sequence[str]] = {}
    if question.action or question.by:
        kinds = kinds_of(session, "audit_events")
        among = [
            (action, by)
            for action, by, _ in kinds
            if question.by in {None, by} and fits(question.action, action)
        ]
        alone = _given(**{AUDIT_EVENTS.columns[1]: question.by})
        alone |= _fitting(question.action, "action", {action for action, _, _ in kinds})
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.subject is None:
        return Wanted(among, alone, **times)
    subject = {"subject": question.subject}
    return Wanted(among, alone, ("subject = :subject",), values=subject, are_few=True, **times)


def wanted_alerts(question: AlertQuestion) -> Wanted:
    """Give which alerts are asked for."""
    among = None
    if question.state or question.severity:
        among = _each(
            [question.state] if question.state else list(AlertState),
            [question.severity] if question.severity else list(Severity),
        )
    alone = _given(state=question.state, severity=question.severity)
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.key is None:
        return Wanted(among, alone, **times)
    if "*" not in question.key:
        key = {"key": question.key}
        return Wanted(among, alone, ("key = :key",), values=key, are_few=True, **times)
    pattern = {"key": literal(question.key).replace("*", "%"), "escape": ESCAPE}
    return Wanted(among, alone, ("key LIKE :key ESCAPE :escape",), values=pattern, **times)


def fits(pattern: str | None, value: str) -> bool:
    """Say whether a value is what is asked for; `*` stands for anything. None: nothing is."""
    if pattern is None or pattern == value:
        return True
    if "*" not in pattern:
        return False
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), value, re.DOTALL) is not None


def literal(text: str) -> str:
    """Give the pattern of LIKE, with ESCAPE, that nothing but this text fits."""
    for sign in (ESCAPE, "%", "_"):
        text = text.replace(sign, ESCAPE + sign)
    return text


def _of_vendor(
    session: Session, vendor: str, stored: set[str], states: Sequence[DeliveryState]
) -> list[Values]:
    """Give the sources and states that deliveries of a vendor may have.

    The vendors of what was read are known. Of a source that is gone something may be left that was
    not read yet.
    """
    there = session.exec(select(SourceRow.vendor, SourceRow.name)).all()
    known = [(of, name) for of, name, _ in kinds_of(session, "deliveries")]
    vendors = {name: {of for of, its in (*there, *known) if its == name} for name in stored}
    theirs = [name for name, its in vendors.items() if vendor in its]
    gone = [name for name, its in vendors.items() if not its]
    unread = [state for state in states if state is DeliveryState.RECEIVED]
    return [*_each(theirs, states), *_each(gone, unread)]


def _given(**columns: str | None) -> dict[str, Sequence[str]]:
    """Give what columns are narrowed to."""
    return {name: [str(value)] for name, value in columns.items() if value is not None}


def _fitting(pattern: str | None, column: str, known: set[str]) -> dict[str, Sequence[str]]:
    """Give what a column is narrowed to by a pattern; nothing when all values fit it."""
    fitting = {value for value in known if fits(pattern, value)}
    return {} if fitting == known else {column: sorted(fitting)}


def _firsts(session: Session, listed: str) -> set[str]:
    return {first for first, _, _ in kinds_of(session, listed)}


def _each(names: Iterable[str], states: Iterable[str]) -> list[Values]:
    return [(name, str(state)) for name, state in product(names, states)]
