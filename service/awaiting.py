"""`wait_for`: looking for the awaited event. Who lets a run look is decided in `waking`.

A look takes events up in the order in which they were stored, which is the order of their ids, and
begins each time a little before the place to which the last one came. A transaction that stores an
event while the wait begins sees no wait and is not seen: so the events around the beginning are
looked at once more, two times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

import structlog

from schemas.document import WaitFor, WaitStep
from schemas.events import Json
from schemas.ids import first_id, made_at, new_id
from schemas.run_tables import WaitRow
from schemas.tables import EventRow
from schemas.workflow import StepStatus, WaitKind
from service.db import Session
from service.routing import event_view
from service.run_records import view_of
from service.runtime import Runtime
from service.store import awaited as store
from service.store import runs as runs_store
from service.store.awaited import Seen
from service.store.payloads import payload_of
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.versions import Version
from service.workflows.awaiting import awaiting_scope, condition_holds
from service.workflows.correlating import WaitKey, event_value, expected_values, wait_key
from service.workflows.decisions import Wait
from service.workflows.expressions import ExpressionError
from service.workflows.matching import triggered
from service.workflows.scope import Scope
from service.workflows.waiting import event_answer

log = structlog.get_logger(__name__)

LATE = timedelta(minutes=3)
"""How long a transaction that stores events may be open: longer than any of ours is."""
LOOK_AGAIN = (timedelta(seconds=20), LATE)
"""How long after its beginning a wait looks once more at all events since then."""
OVERLAP = timedelta(seconds=20)
"""How far a look goes back behind the one before. What woke the run may have got its id earlier
than what was seen already; it was committed only now."""
PAGE = 500
TOGETHER = 20
"""Events that are held in memory at once: each may be large."""
MOST_JUDGED = 1000
MOST_PAGES = 20
"""A look that reaches one of these bounds goes on in another transaction: others want to write."""


@dataclass(slots=True)
class _Look:
    """One look of one step: what it looks for, and what it has found."""

    step: WaitStep
    scope: Scope
    key: WaitKey | None
    values: frozenset[str] | None
    passed_over: frozenset[UUID]
    judged: int = 0
    faults: int = 0
    fault: str = field(default="")

    @property
    def wanted(self) -> WaitFor:
        return self.step.wait_for


def begin(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, version: Version, wait: Wait
) -> datetime | None:
    """Begin to wait, or go on waiting. None when the event is there: its step has its answer.

    Else the run has its wait, and is to be carried on at the time that is given.
    """
    now = runtime.clock()
    until = wait.until or now
    known = _wait_of(run, wait.step_id)
    if known is not None:
        return _next_look(known, now)
    # The old wait's row first: there is one a run, and only this tells the session their order.
    end(work, run)
    runs_store.clear_wait(work.session, run.row.id)
    row = WaitRow(
        run_id=run.row.id,
        step=wait.step_id,
        kind=WaitKind.EVENT,
        since=now,
        due_at=until,
        looked_until=_beginning(run),
    )
    look = _make_look(runtime, work, run, version, wait.step_id)
    finished = _go_through(work.session, run, row, look)
    if finished is None:
        return None
    work.session.add(row)
    values = [""] if look.key is None or look.values is None else sorted(look.values)
    path = "" if look.key is None or look.values is None else look.key.path
    store.remember(
        work.session, run.row.id, wait.step_id, awaited=look.wanted.event, field=path, values=values
    )
    return _next_look(row, now) if finished else now


def look_again(runtime: Runtime, work: UnitOfWork, run: LoadedRun, version: Version) -> bool:
    """Look for the event that a run waits for, if it waits for one; it may have come.

    False when there is more to look at than one transaction should.
    """
    wait = None if run.wait is None else _wait_of(run, run.wait.step)
    if wait is None or (run.cancel_requested and not version.document.is_tidying(wait.step)):
        return True
    step = run.steps.get(wait.step)
    if step is None or step.status != StepStatus.WAITING or step.answer is not None:
        return True
    now = runtime.clock()
    due = sum(now >= wait.since + pause for pause in LOOK_AGAIN)
    if due > wait.looks:
        wait.looks = due
        wait.looked_until = min(_looked_until(run, wait), made_at(wait.id) - LATE)
    look = _make_look(runtime, work, run, version, wait.step)
    finished = _go_through(work.session, run, wait, look)
    work.session.flush()
    return finished is not False


def end(work: UnitOfWork, run: LoadedRun) -> None:
    """Let no event wake the run any more: its wait ends, however it does."""
    if run.wait is not None and run.wait.kind == WaitKind.EVENT:
        store.forget(work.session, run.row.id)


def _wait_of(run: LoadedRun, step: str) -> WaitRow | None:
    wait = run.wait
    return wait if wait is not None and (wait.kind, wait.step) == (WaitKind.EVENT, step) else None


def _make_look(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, version: Version, step_id: str
) -> _Look:
    document = version.document
    step = document.step(step_id)
    if not isinstance(step, WaitStep):
        raise TypeError(step_id)
    view = view_of(runtime, work, run, version)
    scope = awaiting_scope(document, view, step)
    key = wait_key(step.wait_for.condition)
    values = None if key is None else expected_values(key, scope)
    passed_over = {run.event.id}
    if document.coalesce is not None or document.debounce is not None:
        passed_over |= store.joined_events(work.session, run.root.id)
    return _Look(
        step, scope, key, None if values is None else frozenset(values), frozenset(passed_over)
    )


def _go_through(session: Session, run: LoadedRun, wait: WaitRow, look: _Look) -> bool | None:
    """Look through the events that are left. None: found; else whether all were looked at."""
    looking = made_at(new_id())
    begun = _looked_until(run, wait)
    after = first_id(begun)
    pattern = look.wanted.event
    for number in count(1):
        page = store.stored_after(
            session,
            after,
            of_type=None if "*" in pattern else pattern,
            received_from=_received_from(run),
            received_until=wait.due_at or looking,
            limit=PAGE,
        )
        found = _first(session, page, look)
        if found is not None:
            _tell_faults(run, look)
            run.steps[look.step.id].answer = event_answer(found)
            return None
        if len(page) < PAGE:
            break
        after = page[-1].id
        # Ids of one millisecond have no order: it goes on only where another millisecond begins.
        full = number >= MOST_PAGES or look.judged >= MOST_JUDGED
        if full and made_at(after) > begun:
            wait.looked_until = made_at(after)
            _tell_faults(run, look)
            return False
    wait.looked_until = looking - OVERLAP
    _tell_faults(run, look)
    return True


def _first(session: Session, page: Sequence[Seen], look: _Look) -> dict[str, Json] | None:
    """Give the first event, in the order of receipt, that is the awaited one."""
    candidates = sorted(
        (
            seen
            for seen in page
            if seen.id not in look.passed_over
            and triggered(
                look.wanted, {"type": seen.type, "vendor": seen.vendor, "source": seen.source}
            )
        ),
        key=lambda seen: (seen.received_at, seen.id),
    )
    for first in range(0, len(candidates), TOGETHER):
        part = candidates[first : first + TOGETHER]
        rows = store.read_events(session, [seen.id for seen in part])
        look.judged += len(rows)
        for seen in part:
            view = _view(session, rows.get(seen.id), look)
            if view is not None and _is_awaited(view, look):
                return view
    return None


def _view(session: Session, row: EventRow | None, look: _Look) -> dict[str, Json] | None:
    """Give the JSON form of an event that may be the awaited one."""
    if row is None:
        return None
    view = event_view(row)
    if row.payload_id is not None:
        view["payload"] = payload_of(session, row)
    if look.key is None or look.values is None:
        return view
    return view if event_value(look.key.path, view) in look.values else None


def _is_awaited(event: Mapping[str, Json], look: _Look) -> bool:
    try:
        return condition_holds(look.wanted, look.scope, event)
    except ExpressionError as error:
        look.faults += 1
        look.fault = f"its condition cannot be evaluated for event {event['id']}: {error.message}"
        return False


def _tell_faults(run: LoadedRun, look: _Look) -> None:
    if not look.faults:
        return
    run.steps[look.step.id].reason = look.fault
    log.warning(
        "awaited_event_not_judged",
        run_id=str(run.root.id),
        step=look.step.id,
        events=look.faults,
        reason=look.fault,
    )


def _received_from(run: LoadedRun) -> datetime:
    """Give when the run started, for the events that count: with its own event.

    What was received after that may have been stored before the run was.
    """
    root = run.root
    return root.created_at if root.replay else min(run.event.received_at, root.created_at)


def _beginning(run: LoadedRun) -> datetime:
    """Give where the ids of events begin that can count."""
    root = run.root
    began = made_at(root.id) if root.replay else min(made_at(run.event.id), made_at(root.id))
    return began - LATE


def _looked_until(run: LoadedRun, wait: WaitRow) -> datetime:
    return wait.looked_until or _beginning(run)


def _next_look(wait: WaitRow, now: datetime) -> datetime:
    """Give when the run is to be carried on if no event wakes it."""
    moments = [wait.since + pause for pause in LOOK_AGAIN]
    due_at = wait.due_at or now
    return min([due_at, *(moment for moment in moments if moment > now)])
