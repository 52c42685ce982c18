"""A run that rests: what it waits for, and that nobody carries it on meanwhile."""

from __future__ import annotations

from datetime import datetime

import structlog

from schemas.run_tables import WaitRow
from schemas.states import Severity
from schemas.workflow import RunStatus, StepStatus, WaitKind
from service import alerts
from service.routing import announcer
from service.runtime import Runtime
from service.store import runs as store
from service.store.doubts import effect_in_doubt
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)


def rest(
    work: UnitOfWork,
    run: LoadedRun,
    step: str,
    kind: WaitKind,
    until: datetime | None,
    now: datetime,
) -> None:
    """Let the run wait, and give it back."""
    store.clear_wait(work.session, run.row.id)
    work.session.add(WaitRow(run_id=run.row.id, step=step, kind=kind, since=now, due_at=until))
    run.row.status = RunStatus.WAITING
    release(run, due_at=until)


def await_person(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, step: str, now: datetime
) -> None:
    """Let the run rest until somebody says whether a step took effect, and ask for that."""
    rest(work, run, step, WaitKind.PERSON, None, now)
    _tell_doubt(runtime, work, run, step, now)
    log.warning("step_in_doubt", run_id=str(run.row.id), step=step)


def keep_doubts_open(runtime: Runtime, work: UnitOfWork, run: LoadedRun, now: datetime) -> None:
    """Ask of a run that ends whether its calls in doubt took effect, unless it was asked before."""
    for name, step in run.steps.items():
        if step.status != StepStatus.IN_DOUBT or not effect_in_doubt(
            work.session, run.row.id, name
        ):
            continue
        because = {"cancelled": "the run was cancelled"} if run.cancel_requested else {}
        if not alerts.add_details(work, alerts.key_of_doubt(run.row.id, name), because):
            _tell_doubt(runtime, work, run, name, now, **because)
            log.warning("step_in_doubt", run_id=str(run.row.id), step=name)


def _tell_doubt(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, step: str, now: datetime, **more: str
) -> None:
    error = run.steps[step].error or {}
    alerts.open_alert(
        work,
        alerts.OpenParams(
            key=alerts.key_of_doubt(run.row.id, step),
            title=f"{run.row.workflow}: whether step {step} took effect is unknown"[:300],
            severity=Severity.WARNING,
            details={
                "run_id": str(run.row.id),
                "step": step,
                "reason": error.get("message"),
                "to_do": f"find out, then: hookwright run settle {run.row.id} {step} "
                "--took-effect (or --not-made)",
                **more,
            },
        ),
        now=now,
        announce=announcer(runtime, run.row),
        event_id=run.event.id,
        run_id=run.row.id,
    )


def release(run: LoadedRun, *, due_at: datetime | None) -> None:
    """Give the run back; it is carried on at `due_at`, or when it is woken."""
    run.row.due_at = due_at
    run.row.lease_owner = None
    run.row.lease_until = None
    run.row.failures = run.row.rings = 0
