"""Carry a run on: lock its row, ask the planner, record, call outside, record, go on.

A run is carried on by one worker at a time, which holds its lease. Everything that was decided is
committed before anything is called, and the call is made with no transaction open; so whoever takes
the run over after a crash reads from its rows how far it came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from schemas.events import Json
from schemas.jobs import AdvanceRun
from schemas.storable import storable
from schemas.tables import AttemptRow, StepRow, WaitRow
from schemas.workflow import RunStatus, StepError, StepState, StepStatus, WaitKind
from service import alerts, effects
from service.effects import Call, Result, Turn
from service.errors import Unavailable
from service.ingest import event_view
from service.runtime import Runtime
from service.steps import prepare
from service.store import runs as store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork, unit_of_work
from service.versions import Version
from service.workflows.decisions import (
    AwaitPerson,
    Fail,
    Failed,
    Finish,
    Outcome,
    Perform,
    RunView,
    Skip,
    Succeeded,
    Wait,
)
from service.workflows.planner import plan
from service.workflows.transitions import after_attempt

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)
"""How long a run stays with a worker that says nothing; workers/scheduler.py renews it."""
TURN = timedelta(milliseconds=500)
OUTAGE_PATIENCE_S = 60.0
FIRST_OUTAGE_PAUSE_S = 0.2
LONGEST_OUTAGE_PAUSE_S = 2.0
MOST_FAILURES = 5
FIRST_PAUSE = timedelta(seconds=2)
TURN_KIND = "turn"
PERSON_KIND = "person"


@dataclass(frozen=True, slots=True)
class Begun:
    """A step that was recorded as running, and the call it is about to make."""

    decision: Perform
    call: Call


def advance_run(runtime: Runtime, run_id: UUID) -> None:
    """Carry a run on until it ends or has to wait. Safe to call twice and at the same time."""
    with runtime.holding() as lease:
        try:
            begun = _take(runtime, run_id, lease)
            while begun is not None:
                result = effects.perform(begun.call, runtime.database, now=runtime.clock())
                begun = _settle_patiently(runtime, run_id, lease, begun, result)
        except Unavailable:
            # The lease is not renewed any more: somebody goes on when the database is back.
            raise
        except Exception as error:
            # The outermost frame of a run: a fault of ours must not make it come back for ever.
            log.exception("run_not_advanced", run_id=str(run_id))
            _set_aside(runtime, run_id, lease, error)
            raise


def _take(runtime: Runtime, run_id: UUID, lease: str) -> Begun | None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        run = store.claim(work.session, run_id, owner=lease, now=now, ttl=LEASE)
        if run is None:
            return None
        run.row.started_at = run.row.started_at or now
        return _go_on(runtime, work, run)


def _settle_patiently(
    runtime: Runtime, run_id: UUID, lease: str, begun: Begun, result: Result
) -> Begun | None:
    """Record what came of a call, waiting for the database to come back if it is away.

    Only we know what the other side answered; without it the effect would be in doubt.
    """
    began = runtime.monotonic()
    pause = FIRST_OUTAGE_PAUSE_S
    while True:
        try:
            return _settle(runtime, run_id, lease, begun, result)
        except Unavailable:
            stopping = runtime.stopping.wait(pause)
            if stopping or runtime.monotonic() - began > OUTAGE_PATIENCE_S:
                raise
            pause = min(pause * 2, LONGEST_OUTAGE_PAUSE_S)


def _settle(
    runtime: Runtime, run_id: UUID, lease: str, begun: Begun, result: Result
) -> Begun | None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        # The ledger tells what happened outside even when the run was taken from us meanwhile.
        effects.record(work.session, begun.call, result, now=now)
        run = store.reload_held(work.session, run_id, owner=lease)
        if run is None:
            log.warning("run_lease_lost", run_id=str(run_id), step=begun.call.step)
            return None
        state = _record_outcome(runtime, work, run, begun.decision, result.outcome)
        if state.status is StepStatus.FAILED:
            known = result.when_given_up(begun.call)
            if known is not result:
                effects.record(work.session, begun.call, known, now=now)
                _record_outcome(runtime, work, run, begun.decision, known.outcome)
        return _go_on(runtime, work, run)


def _go_on(runtime: Runtime, work: UnitOfWork, run: LoadedRun) -> Begun | None:
    version = runtime.versions.open(run.row.workflow, run.version)
    while True:
        if runtime.stopping.is_set():
            _hand_over(runtime, work, run)
            return None
        now = runtime.clock()
        decision = plan(version.document, _view(runtime, run, version), now)
        match decision:
            case Skip() | Fail():
                _store_state(work, run, version, decision.state, now)
            case Wait():
                _store_state(work, run, version, decision.state, now)
                _rest(work, run, decision.step_id, decision.kind, decision.until, now)
                return None
            case AwaitPerson():
                _await_person(work, run, decision.step_id, now)
                return None
            case Finish():
                _finish(work, run, decision, now)
                return None
            case Perform():
                begun = _begin(runtime, work, run, version, decision)
                if isinstance(begun, Begun):
                    return begun
                if isinstance(begun, Turn):
                    _rest(work, run, decision.step.id, TURN_KIND, now + TURN, now)
                    return None


def _begin(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, version: Version, decision: Perform
) -> Begun | Turn | None:
    """Record the step as running. None when its outcome was known and is recorded already."""
    now = runtime.clock()
    prepared = prepare(runtime, work, run, decision, now)
    if isinstance(prepared, Turn):
        return prepared
    if run.wait is not None:
        store.clear_wait(work.session, run.row.id)
    run.row.status = RunStatus.RUNNING
    _store_state(work, run, version, decision.state, now)
    step = run.steps[decision.step.id]
    work.session.flush()  # the step's row first: nothing else tells the session their order
    work.session.add(
        AttemptRow(
            step_id=step.id,
            run_id=run.row.id,
            number=decision.attempt,
            status=StepStatus.RUNNING,
            started_at=now,
        )
    )
    work.session.flush()
    if isinstance(prepared, Call):
        return Begun(decision, prepared)
    _record_outcome(runtime, work, run, decision, prepared)
    return None


def _record_outcome(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, decision: Perform, outcome: Outcome
) -> StepState:
    now = runtime.clock()
    if isinstance(outcome, Failed):
        outcome = replace(outcome, message=storable(outcome.message))
    version = runtime.versions.open(run.row.workflow, run.version)
    state = after_attempt(
        version.document,
        _view(runtime, run, version),
        decision.state,
        outcome,
        now=now,
        jitter=runtime.jitter(),
    )
    if run.row.shadow and decision.step.poll is not None and state.status is StepStatus.WAITING:
        # Nothing was really begun, so there is nothing to wait for.
        reason = "shadow: what it would watch was not begun"
        state = state.model_copy(
            update={"status": StepStatus.SKIPPED, "due_at": None, "wait": None, "reason": reason}
        )
    _store_state(work, run, version, state, now)
    row = store.attempt(work.session, run.steps[decision.step.id].id, decision.attempt)
    if row is None:
        return state
    row.ended_at = now
    if isinstance(outcome, Succeeded):
        row.status = StepStatus.SUCCEEDED
        row.output = dict(outcome.output)
    else:
        in_doubt = state.status is StepStatus.IN_DOUBT
        row.status = StepStatus.IN_DOUBT if in_doubt else StepStatus.FAILED
        row.error = {"code": outcome.code, "message": outcome.message}
    return state


def _store_state(
    work: UnitOfWork, run: LoadedRun, version: Version, state: StepState, now: datetime
) -> None:
    row = run.steps.get(state.step_id)
    if row is None:
        document = version.document
        order = [step.id for step in (*document.steps, *document.on_failure)]
        row = StepRow(
            run_id=run.row.id,
            step=state.step_id,
            position=order.index(state.step_id),
            action=document.step(state.step_id).uses,
            status=state.status,
        )
        work.session.add(row)
        run.steps[state.step_id] = row
    row.status = state.status
    row.attempts = state.attempts
    row.put_off = state.put_off
    row.polls = state.polls
    row.output = state.output
    row.error = None if state.error is None else state.error.model_dump(mode="json")
    row.reason = state.reason
    row.started_at = state.started_at
    row.attempted_at = state.attempted_at
    row.ended_at = now if state.status.is_final else None
    run.pauses[state.step_id] = (state.due_at, state.wait)


def _view(runtime: Runtime, run: LoadedRun, version: Version) -> RunView:
    public_url = runtime.settings.public_url
    facts: dict[str, Json] = {
        "id": str(run.row.id),
        "workflow": run.row.workflow,
        "version": version.number,
        "mode": "shadow" if run.row.shadow else "live",
        "started_at": None if run.row.started_at is None else run.row.started_at.isoformat(),
        "url": None if public_url is None else f"{public_url.rstrip('/')}/runs/{run.row.id}",
        "correlation_id": str(run.row.correlation_id),
    }
    return RunView(
        event=event_view(run.event),
        run=facts,
        vars=version.vars,
        steps={step: _state(run, row) for step, row in run.steps.items()},
        cancel_requested=run.row.cancel_requested,
    )


def _state(run: LoadedRun, row: StepRow) -> StepState:
    due_at, wait = run.pauses.get(row.step, (None, None))
    return StepState(
        step_id=row.step,
        status=StepStatus(row.status),
        attempts=row.attempts,
        put_off=row.put_off,
        polls=row.polls,
        started_at=row.started_at,
        attempted_at=row.attempted_at,
        due_at=due_at,
        wait=wait,
        output=row.output,
        error=None if row.error is None else StepError.model_validate(row.error),
        reason=row.reason,
    )


def _rest(
    work: UnitOfWork,
    run: LoadedRun,
    step: str,
    kind: WaitKind | str,
    until: datetime | None,
    now: datetime,
) -> None:
    """Let the run wait, and give it back."""
    store.clear_wait(work.session, run.row.id)
    work.session.add(WaitRow(run_id=run.row.id, step=step, kind=str(kind), since=now, due_at=until))
    run.row.status = RunStatus.WAITING
    _release(run, due_at=until)


def _await_person(work: UnitOfWork, run: LoadedRun, step: str, now: datetime) -> None:
    _rest(work, run, step, PERSON_KIND, None, now)
    error = run.steps[step].error or {}
    alerts.open_alert(
        work.session,
        alerts.OpenParams(
            key=f"in-doubt:{run.row.id}:{step}",
            title=f"{run.row.workflow}: whether step {step} took effect is unknown"[:300],
            severity=alerts.Severity.WARNING,
            details={
                "run_id": str(run.row.id),
                "step": step,
                "reason": error.get("message"),
                "to_do": f"find out, then: hookwright run settle {run.row.id} {step} "
                "--took-effect (or --not-made)",
            },
        ),
        now=now,
        event_id=run.event.id,
        run_id=run.row.id,
    )
    log.warning("step_in_doubt", run_id=str(run.row.id), step=step)


def _finish(work: UnitOfWork, run: LoadedRun, decision: Finish, now: datetime) -> None:
    store.clear_wait(work.session, run.row.id)
    run.row.status = decision.status
    run.row.error = None if decision.error is None else decision.error.model_dump(mode="json")
    run.row.ended_at = now
    _release(run, due_at=None)
    log.info("run_ended", run_id=str(run.row.id), workflow=run.row.workflow, status=decision.status)


def _hand_over(runtime: Runtime, work: UnitOfWork, run: LoadedRun) -> None:
    """This process is stopping: let another one go on at once."""
    _release(run, due_at=runtime.clock())
    work.ring(AdvanceRun(run.row.id))


def _release(run: LoadedRun, *, due_at: datetime | None) -> None:
    run.row.due_at = due_at
    run.row.lease_owner = None
    run.row.lease_until = None
    run.row.failures = 0


def _set_aside(runtime: Runtime, run_id: UUID, lease: str, error: Exception) -> None:
    """Try again later, and after some tries fail the run: a poisoned run must not stop others."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        run = store.reload_held(work.session, run_id, owner=lease)
        if run is None:
            return
        failures = run.row.failures + 1
        if failures < MOST_FAILURES:
            _release(run, due_at=now + FIRST_PAUSE * 2 ** (failures - 1))
            run.row.failures = failures
            return
        store.clear_wait(work.session, run_id)
        message = f"Hookwright could not carry the run on: {type(error).__name__}: {error}"
        run.row.status = RunStatus.FAILED
        run.row.error = {"step": "", "code": "bug", "message": message[:2000]}
        run.row.ended_at = now
        _release(run, due_at=None)
