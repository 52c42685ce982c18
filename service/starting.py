"""Starting runs: for events that match, by hand, and for a step that calls a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.columns import NAME_LENGTH
from schemas.document import Document
from schemas.events import EventDraft, Json, Origin
from schemas.ids import new_id
from schemas.jobs import AdvanceRun, AdvanceRunInBulk
from schemas.run_tables import RunRow, TurnRow
from schemas.storable import storable
from schemas.tables import EventRow
from schemas.workflow import RunStatus
from service.event_form import event_view
from service.gathering import NewRun, gather
from service.own_events import VENDOR, own_event
from service.runtime import Runtime
from service.store import runs as store
from service.store.deliveries import store_events
from service.store.starts import last_replay, run_started_with
from service.unit_of_work import UnitOfWork
from service.versions import Version
from service.workflows.expressions import ExpressionError
from service.workflows.gates import Gate, gate_name, gates_of, kind_of_gate
from service.workflows.inputs import default_inputs
from service.workflows.matching import matches
from service.workflows.own_steps import MOST_DEPTH
from service.workflows.scope import start_scope

RING_AGAIN = timedelta(seconds=2)
"""A new run is rung for again after this long: its bell was lost, or dropped as one of many."""
MOST_REASON = 2000
"""Characters of what is said of a run."""
STARTED_BY_HAND = "workflow.started"
CALLED = "workflow.called"
SCHEDULED = "schedule.due"
DIRECT = frozenset({STARTED_BY_HAND, CALLED, SCHEDULED})
"""Events that start the one workflow they are made for, and are matched with no other."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Who starts runs when it is not an event that has just come, and with which work in bulk.

    `shadow`: what they would change outside is only recorded.
    """

    by: str
    bulk_job_id: UUID | None = None
    shadow: bool = False


def start_matching(
    runtime: Runtime,
    work: UnitOfWork,
    events: Sequence[tuple[EventRow, Mapping[str, Json]]],
    hand: Hand | None = None,
) -> None:
    """Start the runs that new events match. `events` come with their JSON form."""
    versions = runtime.versions.current(work.session) if events else ()
    begin(work, _matching(runtime, versions, events, hand), runtime.clock())


def start_anew(
    runtime: Runtime,
    work: UnitOfWork,
    events: Sequence[tuple[EventRow, Mapping[str, Json]]],
    hand: Hand,
    *,
    only: str | None = None,
) -> list[RunRow]:
    """Start once more what stored events match today; gives the runs.

    They are counted by `replay`, and gather nothing. `only`: the one workflow that is started.
    """
    versions = [
        version
        for version in runtime.versions.current(work.session)
        if only in {None, version.name}
    ]
    left = _matching(runtime, versions, events, hand)
    begun: list[RunRow] = []
    while left:
        for new in left:
            replayed = last_replay(work.session, new.row.event_id, new.row.workflow)
            new.row.replay = replayed + 1
        stored = begin(work, left, runtime.clock(), gathers=False)
        begun += stored
        # Somebody else has just started the same: the rest is one more.
        done = {run.id for run in stored}
        left = [new for new in left if new.row.id not in done]
    return begun


def matching(
    runtime: Runtime,
    work: UnitOfWork,
    events: Sequence[tuple[EventRow, Mapping[str, Json]]],
) -> list[str]:
    """Give the workflows that these events would start, one name for each run."""
    versions = runtime.versions.current(work.session) if events else ()
    return [
        new.version.name
        for new in _matching(runtime, versions, events, None)
        if new.row.status != RunStatus.SKIPPED
    ]


def _matching(
    runtime: Runtime,
    versions: Sequence[Version],
    events: Sequence[tuple[EventRow, Mapping[str, Json]]],
    hand: Hand | None,
) -> list[NewRun]:
    now = runtime.clock()
    return [
        NewRun(run, version, view)
        for event, view in events
        for version in versions
        if (run := _match(runtime, version, event, view, now, hand)) is not None
    ]


def begin(
    work: UnitOfWork, found: Sequence[NewRun], now: datetime, *, gathers: bool = True
) -> list[RunRow]:
    """Store new runs, each with its place before its first gate, and ring for them.

    `gathers`: an event may join a run that gathers events, instead of starting one. Gives the runs
    that gather nothing and are really new.
    """
    placed: dict[UUID, str] = {}
    gathered: list[tuple[str, NewRun]] = []
    for new in found:
        name = None if new.row.status == RunStatus.SKIPPED else _first_gate(new, now, gathers)
        if name is not None and kind_of_gate(name) is Gate.GATHER:
            gathered.append((name, new))
        elif name is not None:
            placed[new.row.id] = name
    waiting = {new.row.id for _, new in gathered}
    stored = store.store_runs(work.session, [new.row for new in found if new.row.id not in waiting])
    work.session.add_all(
        TurnRow(gate=placed[run.id], run_id=run.id) for run in stored if run.id in placed
    )
    for run in stored:
        if run.status == RunStatus.PENDING:
            in_bulk = gathers or run.bulk_job_id is not None
            work.ring(AdvanceRunInBulk(run.id) if in_bulk else AdvanceRun(run.id))
    gather(work, gathered, now)
    return stored


def start_directly(
    runtime: Runtime,
    work: UnitOfWork,
    version: Version,
    *,
    event_type: str,
    facts: Mapping[str, Json],
    key: str,
    caused_by: RunRow | None = None,
    caller_step: str | None = None,
    reason: str | None = None,
    hand: Hand | None = None,
) -> RunRow:
    """Start one workflow with an event of ours: by hand, by its schedule, or called by a run.

    `key` is the same whenever the same start is asked for again, which gives the same run.
    `caused_by` with `caller_step`: the run (or branch) whose step calls it. Such a run gathers no
    events: who starts it waits for this one. `reason` says in words why it began.
    """
    now = runtime.clock()
    event = own_event(
        EventDraft(
            type=event_type, vendor_type=event_type, subject=version.name, facts=dict(facts)
        ),
        key=key,
        now=now,
        origin=Origin.OWN,
        caused_by=caused_by,
    )
    if not store_events(work.session, [event]):
        return run_started_with(work.session, event.dedupe_key)
    run = new_run(runtime, version, event, now=now, reason=reason, hand=hand)
    if caused_by is not None:
        run.caller_id, run.caller_step = caused_by.id, caller_step
        run.shadow = run.shadow or caused_by.shadow
    begin(work, [NewRun(run, version, event_view(event))], now, gathers=False)
    return run


def new_run(
    runtime: Runtime,
    version: Version,
    event: EventRow,
    *,
    now: datetime,
    reason: str | None,
    hand: Hand | None = None,
) -> RunRow:
    """Give the row of a run that is to begin."""
    return RunRow(
        id=new_id(),
        event_id=event.id,
        workflow_version_id=version.id,
        workflow=version.name,
        status=RunStatus.PENDING,
        shadow=(
            runtime.shadow
            or version.document.mode == "shadow"
            or (hand is not None and hand.shadow)
        ),
        reason=reason,
        correlation_id=event.correlation_id,
        created_at=now,
        due_at=now + RING_AGAIN,
        depth=event.depth,
        started_by=None if hand is None else storable(hand.by)[:NAME_LENGTH],
        bulk_job_id=None if hand is None else hand.bulk_job_id,
    )


def inputs_of(document: Document, event: EventRow) -> dict[str, Any]:
    """Give the inputs of a run: those of a start by hand or a call, else the defaults."""
    own = {"vendor": event.vendor, "type": event.type, "facts": event.facts}
    return given_inputs(document, own)


def given_inputs(document: Document, event: Mapping[str, Json]) -> dict[str, Any]:
    """Give the same for the JSON form of an event."""
    facts = event["facts"]
    direct = event["vendor"] == VENDOR and event["type"] in DIRECT
    given = facts.get("inputs") if direct and isinstance(facts, Mapping) else None
    return default_inputs(document) | (dict(given) if isinstance(given, Mapping) else {})


def skip(run: RunRow, reason: str, now: datetime) -> None:
    """Let a run end before it has begun. `reason` is in words for people."""
    run.status = RunStatus.SKIPPED
    run.reason = storable(reason)[:MOST_REASON]
    run.ended_at = now
    run.due_at = None


def _first_gate(new: NewRun, now: datetime, gathers: bool) -> str | None:  # noqa: FBT001  # begin's
    document = new.version.document
    gate = next((gate for gate in gates_of(document) if gathers or gate is not Gate.GATHER), None)
    if gate is None:
        return None
    inputs = given_inputs(document, new.event)
    try:
        return gate_name(document, gate, start_scope(new.event, new.version.vars, inputs))
    except ExpressionError as error:
        skip(new.row, key_fault(gate, error), now)
        return None


def key_fault(gate: Gate, error: ExpressionError) -> str:
    """Say that a key cannot be evaluated."""
    return f"the key of its `{gate}` cannot be evaluated: {error.message}"


def _match(
    runtime: Runtime,
    version: Version,
    event: EventRow,
    view: Mapping[str, Json],
    now: datetime,
    hand: Hand | None,
) -> RunRow | None:
    match = matches(version.document, view, version.vars)
    if not match.started and match.error is None:
        return None
    run = new_run(runtime, version, event, now=now, reason=match.reason, hand=hand)
    if event.depth > MOST_DEPTH:
        skip(run, f"{MOST_DEPTH} runs stand before it in its chain: it would never end", now)
    elif not match.started:
        skip(run, match.reason, now)
    return run
