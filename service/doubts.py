"""What people decide on a run: whether a step in doubt took effect, and that a run shall end.

Nothing is called here: the decision is recorded, and the run is carried on as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.events import Json
from schemas.jobs import AdvanceRun
from schemas.plain_words import in_plain_words
from schemas.run_tables import RunRow, StepRow
from schemas.states import EffectState
from schemas.storable import storable
from schemas.tables import EffectRow
from schemas.workflow import RunStatus, StepState, StepStatus
from service import alerts, branches
from service.actions import AnyAction, VendorAction
from service.audit import Who, name_of, note
from service.db import Database, Session
from service.errors import Conflict, Invalid, NotFound
from service.own_actions import OwnAction
from service.own_events import Announce, unheard
from service.queue import Queue
from service.store import doubts as store
from service.store.runs import ACTIVE, clear_wait
from service.unit_of_work import UnitOfWork, unit_of_work
from service.workflows.transitions import settle_doubt

log = structlog.get_logger(__name__)

APPROVAL = "approval"
_RECORDED = StepState.model_fields.keys() & StepRow.model_fields.keys()
"""What a step's row keeps of its state; when and why it waits is in the wait's row."""


def settle_step(
    database: Database,
    queue: Queue,
    actions: Mapping[str, AnyAction],
    *,
    run_id: UUID,
    step: str,
    took_effect: bool,
    output: Mapping[str, Json] | None,
    who: Who,
    now: datetime,
    announce: Announce = unheard,
) -> None:
    """Record what a person found out about a step in doubt, and let its run go on.

    What took effect makes the step succeeded; `output` is what later steps read of it, and what
    is not given of the action's outputs is null. What was not made is tried again. Where the call
    in doubt was another run's for the same natural key, the ledger decides again what this run's
    next attempt may do. A question whose asking took effect is not asked again: its step waits for
    the decision. What is settled of a run that was cancelled counts when the run is retried.

    `step` may stand in a branch: `each[3].note`. Raises NotFound, Invalid for an output that does
    not fit, and Conflict unless the run waits for a person on this step, or has ended on it.
    """
    with unit_of_work(database, queue) as work:
        run, row = _locked_step(work.session, run_id, step)
        goes_on = _check_doubt(work.session, run, row, now)
        known = _whole_output(actions.get(row.action or ""), output, took_effect=took_effect)
        # The ledger knows that the question was asked; the next attempt has its answer from there.
        ended = took_effect and row.kind != APPROVAL
        record_state(row, settle_doubt(state_of(row), took_effect=ended, output=known), now)
        effect = store.effect_in_doubt(work.session, run.id, row.step)
        if effect is not None:
            _record_effect(effect, known if took_effect else None, now)
        word = "took effect" if took_effect else "not made"
        details = {"settled": word, "settled_by": name_of(who)}
        _resolve(work, run.id, row.step, details, now, announce)
        if goes_on:
            _let_go_on(work, run, now)
        noted = {"workflow": run.workflow, "step": row.step, "took_effect": took_effect}
        note(work.session, who, "run.settle", str(run.id), now=now, details=noted)
    log.info(
        "step_settled",
        run_id=str(run.id),
        step=row.step,
        took_effect=took_effect,
        who=name_of(who),
    )


def look_again(
    database: Database,
    queue: Queue,
    actions: Mapping[str, AnyAction],
    *,
    run_id: UUID,
    step: str,
    who: Who,
    now: datetime,
    announce: Announce = unheard,
) -> None:
    """Let a worker look up once more whether a step in doubt took effect, as its next attempt.

    For look-ups that failed: the credentials had ended, the vendor was away. What is found makes
    the step succeeded, what is not there is done. Raises NotFound, and Conflict when the action
    cannot be looked up, the call in doubt was another run's, or the step is not in doubt.
    """
    with unit_of_work(database, queue) as work:
        run, row = _locked_step(work.session, run_id, step)
        goes_on = _check_doubt(work.session, run, row, now)
        found = actions.get(row.action or "")
        settle = f"hookwright run settle {run.id} {row.step} --took-effect (or --not-made)"
        hint = f"find out yourself, then: {settle}"
        if not isinstance(found, VendorAction) or found.action.look_up is None:
            raise Conflict(f"{row.action or row.kind} cannot be looked up", hint=hint)
        effect = store.effect_in_doubt(work.session, run.id, row.step)
        if effect is None:
            raise Conflict("the call in doubt was another run's for the same thing", hint=hint)
        if not goes_on:
            raise Conflict(f"the run has ended: it {was(run.status)}", hint=hint)
        effect.state, effect.error = EffectState.INTENDED, None
        record_state(row, settle_doubt(state_of(row), took_effect=False, output={}), now)
        details = {"settled": "looked up again", "settled_by": name_of(who)}
        _resolve(work, run.id, row.step, details, now, announce)
        _let_go_on(work, run, now)
        noted = {"workflow": run.workflow, "step": row.step}
        note(work.session, who, "run.look_up", str(run.id), now=now, details=noted)
    log.info("step_looked_up_again", run_id=str(run.id), step=row.step, who=name_of(who))


def settle_by_answer(
    database: Database,
    queue: Queue,
    *,
    run_id: UUID,
    step: str,
    output: Mapping[str, Json],
    now: datetime,
    announce: Announce = unheard,
) -> None:
    """Settle a step in doubt by the call's own answer, which came after the run was taken over.

    The ledger holds the answer already. Nothing happens unless the step is in doubt.
    """
    with unit_of_work(database, queue) as work:
        run = store.lock_run(work.session, run_id)
        row = None if run is None else store.steps_of(work.session, run_id).get(step)
        if run is None or row is None or row.status != StepStatus.IN_DOUBT:
            return
        with suppress(Conflict):  # it is about to end, or is being carried on by what is known now
            goes_on = _check_doubt(work.session, run, row, now)
            ended = row.kind != APPROVAL
            state = settle_doubt(state_of(row), took_effect=ended, output=dict(output))
            record_state(row, state, now)
            details = {"settled": "took effect", "settled_by": "the call's late answer"}
            _resolve(work, run_id, step, details, now, announce)
            if goes_on:
                _let_go_on(work, run, now)
            log.info("step_settled", run_id=str(run_id), step=step, took_effect=True, who="answer")


def _locked_step(session: Session, run_id: UUID, step: str) -> tuple[RunRow, StepRow]:
    """Give the run or branch that a step belongs to, locked, and the step. Raises NotFound."""
    run_id, step = store.find_step(session, run_id, step)
    run = _locked(session, run_id)
    row = store.steps_of(session, run_id).get(step)
    if row is None:
        raise NotFound(
            f"this run has no step `{step}`, or has not come to it",
            hint=f"`hookwright run show {run.id}` shows its steps",
        )
    return run, row


def _let_go_on(work: UnitOfWork, run: RunRow, now: datetime) -> None:
    clear_wait(work.session, run.id)
    run.status = RunStatus.PENDING
    run.due_at = now
    work.ring(AdvanceRun(run.id))


def record_asked(
    work: UnitOfWork,
    run: RunRow,
    row: StepRow,
    *,
    now: datetime,
    who: str | None,
    announce: Announce = unheard,
) -> None:
    """Record of a question in doubt that it was asked: the step waits for the decision again."""
    session = work.session
    row.status, row.error = StepStatus.WAITING, None
    effect = store.effect_in_doubt(session, run.id, row.step)
    if effect is not None:
        _record_effect(effect, None, now)
        effect.state, effect.made_at = EffectState.MADE, now
    clear_wait(session, run.id)
    run.status = RunStatus.PENDING
    details = {"settled": "took effect", "settled_by": who}
    _resolve(work, run.id, row.step, details, now, announce)


def cancel_run(
    database: Database,
    queue: Queue,
    *,
    run_id: UUID,
    who: Who,
    now: datetime,
    announce: Announce = unheard,
) -> None:
    """Ask for the run and its branches to end before their next step; again changes nothing.

    A call that is under way is not stopped. An effect in doubt stays in doubt, and its alert open,
    until somebody settles it. The steps of `on_cancel` are performed. Raises NotFound, and Conflict
    for a branch and when the run has ended otherwise.
    """
    with unit_of_work(database, queue) as work:
        run = _locked(work.session, run_id)
        if run.parent_id is not None:
            raise Conflict(
                f"this is the branch {run.path} of a run, and cannot be cancelled by itself",
                hint=f"cancel the whole run: {run.run_id}",
            )
        if run.status == RunStatus.CANCELLED:
            return
        if run.status not in ACTIVE:
            raise Conflict(f"the run has ended: it {was(run.status)}")
        run.cancel_requested = True
        run.reason = storable(f"cancelled by {name_of(who)}")
        run.due_at = now
        told = {"cancelled_by": name_of(who)}
        for branch_id, step in store.doubtful_steps(work.session, run_id):
            if store.effect_in_doubt(work.session, branch_id, step) is None:
                # The call was another run's: whoever settles that one has settled it.
                _resolve(work, branch_id, step, told, now, announce)
            else:
                alerts.add_details(work, alerts.key_of_doubt(branch_id, step), told)
        noted = {"workflow": run.workflow}
        note(work.session, who, "run.cancel", str(run_id), now=now, details=noted)
        work.ring(AdvanceRun(run_id))
    # Not in one transaction: a branch that ends holds itself while it waits for what it belongs to.
    with unit_of_work(database, queue) as work:
        branches.end_soon(work, run_id, now)
    log.info("run_cancel_requested", run_id=str(run_id), who=name_of(who))


def _locked(session: Session, run_id: UUID) -> RunRow:
    run = store.lock_run(session, run_id)
    if run is None:
        raise NotFound("there is no run with this id")
    return run


def _check_doubt(session: Session, run: RunRow, row: StepRow, now: datetime) -> bool:
    """Say whether the run goes on once this is settled; else it has ended. Raises Conflict."""
    if row.status != StepStatus.IN_DOUBT:
        if run.status not in ACTIVE:
            raise Conflict(f"the run has ended: it {was(run.status)}")
        raise Conflict(f"the step {row.step} is not in doubt: it is {row.status}")
    if run.status not in ACTIVE:
        return False
    # A step of `on_cancel` may itself be in doubt: then the run has nothing to do but to wait.
    if store.is_cancelled(session, run) and run.due_at is not None:
        raise Conflict("the run is about to end: it shall be cancelled")
    held = run.lease_until is not None and run.lease_until >= now
    if held or run.status != RunStatus.WAITING:
        raise Conflict("the run is being carried on at this moment", hint="look at it again")
    return True


def was(status: str) -> str:
    """Say how a run has ended: `failed`, or `was cancelled`."""
    return status if status in {RunStatus.SUCCEEDED, RunStatus.FAILED} else f"was {status}"


def _whole_output(
    action: AnyAction | None, given: Mapping[str, Json] | None, *, took_effect: bool
) -> dict[str, Any]:
    """Give every output of the action: what was given, and null for the rest."""
    if given is not None and not took_effect:
        raise Invalid("what was not made has no output")
    try:
        output: dict[str, Any] = storable(dict(given or {}))
    except ValueError as error:
        raise Invalid(f"the output cannot be stored: {error}") from error
    if action is None:
        return output
    model = action.outputs if isinstance(action, OwnAction) else action.action.outputs
    whole = dict.fromkeys(model.model_fields) | output
    try:
        model.model_validate(whole)
    except ValidationError as error:
        # A null that was not given may not fit: it says that nobody knows the value.
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {in_plain_words(fault)}"
            for fault in error.errors(include_url=False)
            if fault["loc"] and fault["loc"][0] in output
        ]
        if faults:
            raise Invalid(
                f"the output does not fit: {'; '.join(faults)}",
                hint=f"its fields are {', '.join(model.model_fields)}",
            ) from error
    return whole


def state_of(row: StepRow) -> StepState:
    """Give what is recorded of a step, without when and why it waits."""
    recorded = {name: getattr(row, name) for name in _RECORDED}
    return StepState.model_validate({"step_id": row.step, **recorded})


def record_state(row: StepRow, state: StepState, now: datetime) -> None:
    """Write a step's state into its row; the wait, if there is one, is the caller's."""
    for name, value in state.model_dump(include=set(_RECORDED)).items():
        setattr(row, name, value)
    row.ended_at = now if state.status.is_final else None


def _record_effect(row: EffectRow, output: dict[str, Any] | None, now: datetime) -> None:
    row.error = None
    if output is None:
        row.state = EffectState.NOT_MADE
        return
    row.state = EffectState.MADE
    row.output = output
    row.made_at = now


def _resolve(
    work: UnitOfWork,
    run_id: UUID,
    step: str,
    details: dict[str, Any],
    now: datetime,
    announce: Announce,
) -> None:
    params = alerts.ResolveParams(key=alerts.key_of_doubt(run_id, step), details=details)
    alerts.resolve_alert(work, params, now=now, announce=announce)
