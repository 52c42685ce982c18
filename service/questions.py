"""What was asked outside is closed there: once a step is decided, its question says how.

The call is made before the step's outcome is recorded, so that a crash between the two makes it
again and cannot forget it; the ledger keeps it from being made twice. It is tried some times and
never fails the run: whether the message is up to date changes nothing about the decision.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import ValidationError

from schemas.document import ApprovalStep, Step
from schemas.states import EffectState
from schemas.tables import EffectRow
from schemas.workflow import StepState, StepStatus
from service import effects
from service.actions import VendorAction
from service.db import Session
from service.effects import Call, Result
from service.errors import ConfigurationError
from service.runtime import Runtime
from service.store import approvals as store
from service.store import effects as effects_store
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.workflows.decisions import Failed, Outcome

log = structlog.get_logger(__name__)

PAUSES = (timedelta(seconds=2), timedelta(seconds=10))
"""After the first and the second try; then the message stays as it is."""
_FOLLOW_UP = "close"


def close_question(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, step: Step, state: StepState
) -> Call | datetime | None:
    """Give the call that says below a step's question how it was decided.

    `state` is the step's end, which is not recorded yet. A time says when to try again; None that
    nothing is to be done, any more or at all.
    """
    if not isinstance(step, ApprovalStep) or step.approval.ask is None or run.row.shadow:
        return None
    vendor = step.approval.ask
    asked = store.question_of(work.session, run.row.id, step.id, f"{vendor}.ask_approval")
    found = runtime.actions.get(f"{vendor}.close_approval")
    if asked is None or not isinstance(found, VendorAction):
        return None
    now = runtime.clock()
    key = effects.step_key(
        run.row.id, step.id, round_number=0, anew=state.round, follow_up=_FOLLOW_UP
    )
    known = effects_store.perhaps(work.session, key)
    if known is not None and (again := _try_again(known)) is not None and again > now:
        return again
    if known is not None and known.state != EffectState.INTENDED:
        return None
    try:
        params = found.action.params.model_validate(_params(asked, state))
        row = runtime.connections.choose(work.session, found.vendor, asked.connection)
        connection = runtime.connections.open(row, found.vendor)
    except (ConfigurationError, ValidationError) as error:
        log.warning("question_not_closed", run_id=str(run.row.id), step=step.id, error=str(error))
        return None
    call = effects.intend(
        work.session,
        run_id=run.row.id,
        step=step.id,
        round_number=0,
        anew=state.round,
        follow_up=_FOLLOW_UP,
        found=found,
        params=params,
        connection=connection,
        now=now,
        timeout=None,
    )
    return call if isinstance(call, Call) else None


def record(session: Session, call: Call, result: Result, *, now: datetime) -> Outcome:
    """Write down what came of the call; what failed for now is tried again."""
    outcome = effects.record(session, call, result, now=now)
    if call.effect_key is not None and isinstance(outcome, Failed):
        row = effects_store.find(session, call.effect_key)
        if row.calls == call.number:
            again = outcome.retryable and row.calls <= len(PAUSES)
            row.state = EffectState.INTENDED if again else EffectState.NOT_MADE
    return outcome


def _try_again(row: EffectRow) -> datetime | None:
    """Give when a close that failed, or whose worker died, is tried again; None when it is not."""
    if row.state != EffectState.INTENDED:
        return None
    return row.intended_at + PAUSES[min(row.calls, len(PAUSES)) - 1]


def _params(asked: EffectRow, state: StepState) -> dict[str, Any]:
    told = state.output or {}
    outcome, note = "cancelled", state.reason
    if state.status is not StepStatus.CANCELLED and "decided_at" in told:
        outcome, note = ("approved" if told["approved"] else "rejected"), told.get("note")
        if told.get("timed_out"):
            word = "approved" if told["approved"] else "rejected"
            outcome, note = "timed_out", f"nobody decided, so it counts as {word}"
    params = {name: asked.params[name] for name in ("run_id", "step")}
    params |= {"outcome": outcome, "by": told.get("by"), "note": note}
    if asked.params.get("channel"):
        params["channel"] = asked.params["channel"]
    return params
