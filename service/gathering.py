"""Events that join a run which has not begun (`coalesce`, `debounce`), instead of starting one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from schemas.events import Json
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunEventRow, RunRow, TurnRow, WaitRow
from schemas.workflow import RunStatus, WaitKind
from service.store import gates as store
from service.store.runs import store_runs
from service.unit_of_work import UnitOfWork
from service.versions import Version
from service.workflows.gates import gathered_at

MOST_EVENTS = 1000
"""How many events one run gathers; it begins as soon as it has so many."""
KEPT = timedelta(days=1)
"""How much longer than it gathers a gate is kept: it can be long before its run begins."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that an event is to start. `event` is the event's JSON form."""

    row: RunRow
    version: Version
    event: Mapping[str, Json]


@dataclass(slots=True)
class _Group:
    """A run that gathers, with its wait and the events that are new to it.

    `received`: when the run's own event was.
    """

    run: RunRow
    wait: WaitRow
    received: datetime
    count: int = 0
    joined: list[UUID] = field(default_factory=list)


def gather(work: UnitOfWork, arrivals: Sequence[tuple[str, NewRun]], now: datetime) -> None:
    """Let each event join the run that gathers before its gate, or begin to gather with a new one.

    `arrivals`: the gate's name, and the run that the event would start if it were the first.
    """
    if not arrivals:
        return
    session = work.session
    work.holds_others = True
    store.lock_gates(
        session,
        {name: _due(new, opened=now, newest=now) + KEPT for name, new in arrivals},
    )
    groups = _open_groups(work, {name for name, _ in arrivals})
    begun: list[tuple[str, _Group]] = []
    for name, new in arrivals:
        group = groups.get(name)
        if group is None or group.count >= MOST_EVENTS:
            group = groups[name] = _open(new, now)
            begun.append((name, group))
        _join(work, group, new, now)
    store_runs(session, [group.run for _, group in begun])
    # Of several before one gate the newest gathers: what is full only waits to begin.
    for name, group in begun:
        session.add_all((group.wait, TurnRow(gate=name, run_id=group.run.id)))
    everything = {id(group): group for group in (*groups.values(), *(one for _, one in begun))}
    session.add_all(
        RunEventRow(run_id=group.run.id, event_id=event_id)
        for group in everything.values()
        for event_id in group.joined
    )


def is_gathering(wait: WaitRow | None, now: datetime) -> bool:
    """Say whether more events may still join the run that waits so."""
    return (
        wait is not None
        and wait.kind == WaitKind.GATHERING
        and wait.due_at is not None
        and wait.due_at > now
    )


def _open_groups(work: UnitOfWork, names: set[str]) -> dict[str, _Group]:
    session = work.session
    found = store.gathering_runs(session, names)
    counts = store.count_events(session, [run.id for run, _, _ in found.values()])
    groups: dict[str, _Group] = {}
    for name, (run, wait, received) in found.items():
        if run.cancel_requested:
            # It will not begin: what comes now must not be lost with it.
            store.leave_gate(session, name, run.id)
            continue
        groups[name] = _Group(run, wait, received, count=counts.get(run.id, 0))
    return groups


def _open(new: NewRun, now: datetime) -> _Group:
    due_at = _due(new, opened=now, newest=now)
    new.row.status = RunStatus.WAITING
    new.row.due_at = due_at
    wait = WaitRow(run_id=new.row.id, step="", kind=WaitKind.GATHERING, since=now, due_at=due_at)
    return _Group(new.row, wait, _received(new))


def _join(work: UnitOfWork, group: _Group, new: NewRun, now: datetime) -> None:
    run = group.run
    group.count += 1
    if new.row.event_id is not None:
        group.joined.append(new.row.event_id)
    run.depth = max(run.depth, new.row.depth)
    debounced = new.version.document.debounce is not None
    received = _received(new)
    # Deliveries that came one after the other are ingested at once: the later may be the first.
    if received >= group.received if debounced else received < group.received:
        run.event_id = new.row.event_id
        run.correlation_id = new.row.correlation_id
        group.received = received
    if group.count >= MOST_EVENTS:
        group.wait.due_at = run.due_at = now
        work.ring(AdvanceRun(run.id))
    elif debounced:
        group.wait.due_at = run.due_at = _due(new, opened=group.wait.since, newest=now)


def _received(new: NewRun) -> datetime:
    return datetime.fromisoformat(str(new.event["received_at"]))


def _due(new: NewRun, *, opened: datetime, newest: datetime) -> datetime:
    return gathered_at(new.version.document, opened=opened, newest=newest)
