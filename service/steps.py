"""What performing a step means: a call outside, a change of our own rows, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ValidationError

from schemas.document import ActionStep, ApprovalStep, CallStep, EmitStep, Step
from schemas.events import Json
from service import effects
from service.actions import VendorAction
from service.calling import call_workflow
from service.connections import OpenConnection
from service.effects import Call, Turn, target_of
from service.emitting import emit
from service.errors import ConfigurationError
from service.own_actions import OwnAction, OwnContext
from service.routing import announcer
from service.run_records import view_of
from service.runtime import Runtime
from service.store.runs import LoadedRun
from service.unit_of_work import UnitOfWork
from service.vendors.base import Safety
from service.workflows.decisions import Failed, Outcome, Perform, Succeeded
from service.workflows.durations import resolve_duration
from service.workflows.expressions import ExpressionError
from service.workflows.own_steps import wrong_params
from service.workflows.scope import run_scope
from service.workflows.shadow import reads_unknown
from service.workflows.transitions import known_error


def prepare(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, decision: Perform, now: datetime
) -> Call | Turn | Outcome:
    """Give the call a step is about to make, or its outcome where that is known without calling.

    A Turn says that another run is changing the same thing.
    """
    step = decision.step
    match step:
        case EmitStep():
            return emit(runtime, work, run, step, decision.params, decision.state.round)
        case CallStep():
            return call_workflow(runtime, work, run, step, decision.params, decision.attempt)
        case ApprovalStep():
            return ask(runtime, work, run, step, decision, now)
        case ActionStep(uses=uses):
            return perform_action(runtime, work, run, decision, uses, decision.params, now)
        case _:
            return Failed("bug", f"a step of this kind is not performed: {step.id}", False)


def perform_action(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    decision: Perform,
    uses: str,
    given: Mapping[str, Json],
    now: datetime,
) -> Call | Turn | Outcome:
    """Give the call of an action with these parameters, or its outcome."""
    found = runtime.actions.get(uses)
    if found is None:
        return Failed("unknown_action", f"this version has no action {uses!r}", False)
    model = found.params if isinstance(found, OwnAction) else found.action.params
    try:
        params = model.model_validate(given)
    except ValidationError as error:
        if run.row.shadow and _reads_unknown(runtime, work, run, decision.step):
            # What builds on an effect that was not made has nothing to ask.
            outputs = found.outputs if isinstance(found, OwnAction) else found.action.outputs
            return Succeeded(dict.fromkeys(outputs.model_fields))
        return wrong_params(error)
    if isinstance(found, OwnAction):
        return _perform_own(runtime, work, run, decision.step.id, found, params, now)
    return _prepare_call(runtime, work, run, decision, found, params, now)


def ask(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    step: ApprovalStep,
    decision: Perform,
    now: datetime,
) -> Call | Turn | Outcome:
    """Ask for an approval where people are: over the vendor that the step names."""
    params: dict[str, Json] = {
        "text": decision.params["text"],
        "run_id": str(run.row.id),
        "step": step.id,
    }
    if decision.params.get("channel") is not None:
        params["channel"] = decision.params["channel"]
    uses = f"{step.approval.ask}.ask_approval"
    found = runtime.actions.get(uses)
    known = found.action.params.model_fields if isinstance(found, VendorAction) else {}
    told = {"url": _page(runtime, run), "expires_at": _open_until(runtime, work, run, step, now)}
    params |= {name: value for name, value in told.items() if value is not None and name in known}
    return perform_action(runtime, work, run, decision, uses, params, now)


def _page(runtime: Runtime, run: LoadedRun) -> str | None:
    """Give where people see the run; None for an address that no message can link to."""
    url = runtime.run_url(run.root.id)
    return url if url is not None and url.startswith(("http://", "https://")) else None


def _open_until(
    runtime: Runtime, work: UnitOfWork, run: LoadedRun, step: ApprovalStep, now: datetime
) -> str | None:
    version = runtime.versions.open(run.row.workflow, run.version)
    document, view = version.document, view_of(runtime, work, run, version)
    scope = run_scope(document, view, error=known_error(document, view, step))
    try:
        until = now + resolve_duration(step.approval.timeout, scope)
    except ExpressionError:
        # Its end is decided where the wait begins; a question need not name it.
        return None
    return f"{until:%Y-%m-%d %H:%M} UTC"


def _prepare_call(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    decision: Perform,
    found: VendorAction,
    params: BaseModel,
    now: datetime,
) -> Call | Turn | Outcome:
    try:
        with work.session.no_autoflush:
            row = runtime.connections.choose(work.session, found.vendor, decision.connection)
        connection = runtime.connections.open(row, found.vendor)
    except ConfigurationError as error:
        if run.row.shadow:
            return _shadow(work, run, found, decision.step.id, params, None, now)
        hint = "" if error.hint is None else f" ({error.hint})"
        return Failed(error.code, error.message + hint, False)
    if run.row.shadow and found.action.safety is not Safety.READ:
        return _shadow(work, run, found, decision.step.id, params, connection, now)
    # What is pending of the run goes with the rest of it, not with every question of the ledger.
    with work.session.no_autoflush:
        return effects.intend(
            work.session,
            run_id=run.row.id,
            step=decision.step.id,
            round_number=decision.state.polls,
            anew=decision.state.round,
            found=found,
            params=params,
            connection=connection,
            now=now,
            timeout=decision.timeout,
        )


def _shadow(
    work: UnitOfWork,
    run: LoadedRun,
    found: VendorAction,
    step: str,
    params: BaseModel,
    connection: OpenConnection | None,
    now: datetime,
) -> Outcome:
    if found.action.safety is Safety.READ:
        # Nothing can be asked without a connection: whoever looks first has not set one up yet.
        return Succeeded(dict.fromkeys(found.action.outputs.model_fields))
    return effects.shadow(
        work.session,
        run_id=run.row.id,
        step=step,
        name=found.action.name,
        outputs=found.action.outputs,
        params=params,
        connection="" if connection is None else connection.name,
        target=None if connection is None else target_of(found.action, params, connection),
        now=now,
    )


def _reads_unknown(runtime: Runtime, work: UnitOfWork, run: LoadedRun, step: Step) -> bool:
    version = runtime.versions.open(run.row.workflow, run.version)
    states = view_of(runtime, work, run, version).steps
    return reads_unknown(version.document, step, states)


def _perform_own(
    runtime: Runtime,
    work: UnitOfWork,
    run: LoadedRun,
    step: str,
    action: OwnAction,
    params: BaseModel,
    now: datetime,
) -> Outcome:
    if run.row.shadow:
        return effects.shadow(
            work.session,
            run_id=run.row.id,
            step=step,
            name=action.name,
            outputs=action.outputs,
            params=params,
            connection="",
            target=None,
            now=now,
        )
    announce = announcer(runtime, run.row)
    context = OwnContext(work, now, run.root.id, run.event.id, announce)
    return Succeeded(action.perform(context, params).model_dump(mode="json"))
