"""Which rows each large list asks for: through which index, and narrowed by what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from typing import Any

from sqlmodel import Session, select

from schemas.api_deliveries import DeliveryQuestion
from schemas.api_events import EventQuestion
from schemas.api_runs import RunQuestion
from schemas.auditing import AuditFilter
from schemas.effect_lists import EffectQuestion
from schemas.states import DeliveryState, EffectState
from schemas.tables import SourceRow
from schemas.workflow import RunStatus
from service.store.keyset import Keyset, Values, Wanted, first_values, kinds_of

# A request that was refused and accepted later came before its id was made.
DELIVERIES = Keyset(
    "deliveries", "received_at", ("source", "state"), odd="rejection_id IS NOT NULL"
)
EVENTS = Keyset("events", "received_at", ("vendor", "coalesce(source, '')", "type"))
RUNS = Keyset("runs", "created_at", ("workflow", "status"), always="parent_id IS NULL")
EFFECTS = Keyset("effects", "intended_at", ("action", "connection", "state"))
AUDIT_EVENTS = Keyset("audit_events", "at", ("action", '"by"'))
_WAITS_FOR = (
    "id IN (SELECT coalesce(waiting.root_id, waiting.id) FROM waits"
    " JOIN runs AS waiting ON waiting.id = waits.run_id WHERE waits.kind = :waiting_for)"
)


def wanted_deliveries(session: Session, question: DeliveryQuestion) -> Wanted:
    """Give which deliveries are asked for, but for what is looked for in their keys."""
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.source is None and question.vendor is None and question.state is None:
        return Wanted(**times)
    sources = {question.source} if question.source else _sources(session, question.vendor)
    states = [question.state] if question.state else list(DeliveryState)
    # A source may have had another vendor once.
    conditions = () if question.vendor is None else ("vendor = :vendor",)
    values = {} if question.vendor is None else {"vendor": question.vendor}
    return Wanted(_each(sources, states), conditions, values, **times)


def wanted_events(session: Session, question: EventQuestion) -> Wanted:
    """Give which events are asked for, but for the words they have."""
    among = None
    if question.type or question.vendor or question.source:
        among = [
            (vendor, source, type_)
            for vendor, source, type_ in kinds_of(session, "events")
            if question.vendor in {None, vendor}
            and question.source in {None, source}
            and fits(question.type, type_)
        ]
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.subject is None:
        return Wanted(among, **times)
    subject = {"subject": question.subject}
    return Wanted(among, ("subject = :subject",), subject, are_few=True, **times)


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
        tuple(conditions),
        values,
        in_no_order=bool(conditions),
        since=question.since,
        until=question.until,
    )


def wanted_effects(session: Session, question: EffectQuestion) -> Wanted:
    """Give which effects are asked for."""
    among = None
    if question.action or question.connection or question.state:
        states = [question.state] if question.state else list(EffectState)
        among = [
            (action, connection, state.value)
            for action, connection, _ in kinds_of(session, "effects")
            if question.connection in {None, connection} and fits(question.action, action)
            for state in states
        ]
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.run is None:
        return Wanted(among, **times)
    return Wanted(among, ("run_id = :run",), {"run": question.run}, in_no_order=True, **times)


def wanted_audit_events(session: Session, question: AuditFilter) -> Wanted:
    """Give which audit events are asked for."""
    among = None
    if question.action or question.by:
        among = [
            (action, by)
            for action, by, _ in kinds_of(session, "audit_events")
            if question.by in {None, by} and fits(question.action, action)
        ]
    times: dict[str, Any] = {"since": question.since, "until": question.until}
    if question.subject is None:
        return Wanted(among, **times)
    subject = {"subject": question.subject}
    return Wanted(among, ("subject = :subject",), subject, are_few=True, **times)


def fits(pattern: str | None, value: str) -> bool:
    """Say whether a value is what is asked for; `*` stands for anything. None: nothing is."""
    if pattern is None or pattern == value:
        return True
    if "*" not in pattern:
        return False
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), value, re.DOTALL) is not None


def _sources(session: Session, vendor: str | None) -> set[str]:
    """Give the names of the sources that deliveries have, of a vendor (if that is known) or all."""
    stored = first_values(session, DELIVERIES)
    if vendor is None:
        return stored
    there = session.exec(select(SourceRow.vendor, SourceRow.name)).all()
    known = [(of, name) for of, name, _ in kinds_of(session, "deliveries")]
    others = {name for of, name in (*there, *known) if of != vendor}
    return (stored - others) | {name for of, name in (*there, *known) if of == vendor}


def _firsts(session: Session, listed: str) -> set[str]:
    return {first for first, _, _ in kinds_of(session, listed)}


def _each(names: Iterable[str], states: Iterable[str]) -> list[Values]:
    return [(name, str(state)) for name, state in product(names, states)]
