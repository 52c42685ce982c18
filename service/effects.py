"""Effects: calls that change something outside, written down before they are made.

What happened to such a call can be unknown: the worker died, or the answer never came. Then the
action's `Safety` says what may be done. Whatever converges is simply done again; whatever can be
looked up is looked up; the rest is in doubt and waits for a person, because doing it twice is
worse than asking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import BaseModel

from schemas.events import Json
from schemas.states import EffectState
from schemas.storable import bounded, storable
from schemas.tables import EffectRow
from service.actions import AnyAction, VendorAction
from service.connections import OpenConnection
from service.db import Database, Session
from service.errors import HookwrightError, Transient
from service.faults import note_fault
from service.http_transport import deadline, fence
from service.store import effects as store
from service.store import leases
from service.unit_of_work import reading
from service.vendors.base import Action, CallContext, Done, Safety
from service.workflows.decisions import Failed, InDoubt, Outcome, Succeeded

log = structlog.get_logger(__name__)

TARGET_LEASE = timedelta(seconds=90)
"""How long a target stays ours when we die with it: longer than any one call may last."""
EARLIER = timedelta(days=7)
KEY_LENGTH = 500
TARGET_LENGTH = 400
CONVERGING = {Safety.READ, Safety.VENDOR_KEY, Safety.FIND_AND_UPDATE}


@dataclass(frozen=True, slots=True)
class Call:
    """An outside call that is about to be made. `effect_key` is None when it changes nothing.

    `number` counts the calls that were begun for the effect: who has the highest speaks for it.
    """

    run_id: UUID
    step: str
    action: Action
    params: BaseModel
    connection: OpenConnection
    effect_key: str | None = None
    target: str | None = None
    reference: Mapping[str, Json] | None = None
    doubtful: bool = False
    timeout: timedelta | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Another run is changing the same thing: wait for one's turn."""

    target: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a call: for the step, and for the ledger."""

    outcome: Outcome
    state: EffectState
    reference: Mapping[str, Json] | None = None

    def when_given_up(self, call: Call) -> Result:
        """Give what is known when no further try will find out whether the call took effect."""
        if self.state is not EffectState.INTENDED or call.action.safety in CONVERGING:
            return self
        message = "" if isinstance(self.outcome, Succeeded) else self.outcome.message
        return Result(
            InDoubt(f"whether it took effect could not be found out: {message}"),
            EffectState.IN_DOUBT,
        )


def intend(
    session: Session,
    *,
    run_id: UUID,
    step: str,
    round_number: int,
    found: VendorAction,
    params: BaseModel,
    connection: OpenConnection,
    now: datetime,
    timeout: timedelta | None,
    anew: int = 0,
    follow_up: str = "",
) -> Call | Turn | Outcome:
    """Write down that a call is about to be made.

    Gives the call; or the outcome when it is known without calling (the effect was made before);
    or a Turn when somebody else is changing the same target. `round_number` counts the answers a
    polling step was given, so that every round of such a step is an effect of its own. `anew`
    counts how often the step was performed once more after its run had ended; `follow_up` names
    another call of the same step.
    """
    action = found.action
    call = Call(run_id, step, action, params, connection, timeout=timeout)
    if action.safety is Safety.READ:
        return call
    target = target_of(action, params, connection)
    if target is not None and not leases.acquire(
        session, _target_lease(connection.name, target), str(run_id), now=now, ttl=TARGET_LEASE
    ):
        return Turn(target)
    key = _key(call, round_number, anew, follow_up)
    row, is_new = store.intend(
        session,
        EffectRow(
            key=key,
            run_id=run_id,
            step=step,
            action=action.name,
            connection=connection.name,
            target=target,
            state=EffectState.INTENDED,
            params=params.model_dump(mode="json"),
            calls=1,
            intended_at=now,
        ),
    )
    doubtful = False
    if not is_new:
        known = _known(session, row, run_id, step)
        if known is not None:
            if target is not None:
                leases.release(session, _target_lease(connection.name, target), str(run_id))
            return known
        is_open = row.state == EffectState.INTENDED
        doubtful = is_open and not _converges(action, row.intended_at, now)
        if not is_open:
            # What was refused is asked for anew, and by now perhaps of another place.
            row.target, row.params, row.intended_at = target, params.model_dump(mode="json"), now
        row.state = EffectState.INTENDED
        row.run_id, row.step = run_id, step
        row.calls += 1
    reference = store.last_reference(session, connection.name, target) if target else None
    return Call(
        run_id,
        step,
        action,
        params,
        connection,
        effect_key=key,
        target=target,
        reference=reference,
        doubtful=doubtful,
        timeout=timeout,
        number=row.calls,
    )


def _converges(action: Action, intended_at: datetime, now: datetime) -> bool:
    """Say whether repeating a call that may have been made does no harm now."""
    if action.key_lasts is not None and now - intended_at >= action.key_lasts:
        return False
    return action.safety in CONVERGING


def _known(session: Session, row: EffectRow, run_id: UUID, step: str) -> Turn | Outcome | None:
    """Give what follows from the effect's row without calling; None when a call is due."""
    if row.state == EffectState.MADE:
        log.info("effect_known", effect=row.key, run_id=str(run_id), step=step)
        return Succeeded(row.output or {})
    if row.state == EffectState.IN_DOUBT:
        if store.is_abandoned(session, row):
            # Nobody can settle it where it began: whoever settles it here settles it.
            row.run_id, row.step = run_id, step
        return InDoubt(row.error or "an earlier call for the same thing is in doubt")
    is_others = row.state == EffectState.INTENDED and row.run_id != run_id
    if is_others and not store.is_abandoned(session, row):
        return Turn(row.key)
    return None


def shadow(
    session: Session,
    *,
    run_id: UUID,
    step: str,
    name: str,
    outputs: type[BaseModel],
    params: BaseModel,
    connection: str,
    target: str | None,
    now: datetime,
) -> Outcome:
    """Record the effect that an action of this `name` would have made; its outputs are all null.

    Nothing is called, so there may be no connection (an empty text).
    """
    store.intend(
        session,
        EffectRow(
            key=f"shadow:{run_id}:{step}",
            run_id=run_id,
            step=step,
            action=name,
            connection=connection,
            target=target,
            state=EffectState.SHADOWED,
            params=storable(params.model_dump(mode="json")),
            intended_at=now,
        ),
    )
    return Succeeded(dict.fromkeys(outputs.model_fields))


def perform(
    call: Call, database: Database, *, now: datetime, may_send: Callable[[], bool]
) -> Result:
    """Make the call, with no transaction open. Never raises: every end is a Result.

    `may_send` is asked before every request: False when the run may be another worker's by now.
    """
    context = CallContext(
        http=call.connection.http,
        credentials=call.connection.credentials,
        options=call.connection.options,
        connection=call.connection.name,
        now=now,
        idempotency_key=call.effect_key or "",
        reference=call.reference,
        earlier=lambda action: earlier_references(database, call.connection.name, action, now),
    )
    try:
        limit = nullcontext() if call.timeout is None else deadline(call.timeout.total_seconds())
        with limit, fence(may_send):
            done = _look_up_or_perform(call, context)
    except _Unknowable as doubt:
        return Result(InDoubt(doubt.message), EffectState.IN_DOUBT)
    except Transient as error:
        return _after_transient(call, error)
    except HookwrightError as error:
        message = error.message if error.hint is None else f"{error.message} ({error.hint})"
        return Result(Failed(error.code, message, retryable=False), EffectState.NOT_MADE)
    except Exception as error:  # noqa: BLE001  # note_fault logs it
        # The outermost frame around a vendor's code: nothing it does may stop the worker.
        fault = note_fault(error, "action_raised", action=call.action.name, run_id=str(call.run_id))
        message = f"{call.action.name} failed in an unforeseen way: {type(error).__name__}"
        if call.effect_key is not None and call.action.safety not in CONVERGING:
            return Result(InDoubt(message, fault=fault), EffectState.IN_DOUBT)
        return Result(Failed("bug", message, retryable=False, fault=fault), EffectState.NOT_MADE)
    output = storable(done.outputs.model_dump(mode="json"))
    reference = None if done.reference is None else storable(dict(done.reference))
    return Result(Succeeded(output), EffectState.MADE, reference)


def record(session: Session, call: Call, result: Result, *, now: datetime) -> Outcome:
    """Write down what came of the call, and give the target back; gives what is known now.

    That an effect was made is never taken back. Of two calls for one effect (a worker was stopped
    in the first, another began the second) only the later may say that it was not made.
    """
    if call.effect_key is None:
        return result.outcome
    row = store.find(session, call.effect_key)
    known = result.outcome
    if row.state == EffectState.MADE:
        is_late = isinstance(known, Succeeded) and row.calls != call.number
        if is_late and not _is_known(row, result):
            log.error("effect_made_twice", effect=row.key, run_id=str(call.run_id), step=call.step)
        known = Succeeded(row.output or {})
    elif isinstance(known, Succeeded):
        row.state, row.error = EffectState.MADE, None
        row.output, row.target = dict(known.output), call.target
        row.reference = dict(result.reference) if result.reference else row.reference
        row.made_at = now
    elif row.calls == call.number:
        row.state, row.error = result.state, storable(known.message)
    if call.target is not None and row.calls == call.number:
        leases.release(session, _target_lease(call.connection.name, call.target), str(call.run_id))
    return known


def _is_known(row: EffectRow, result: Result) -> bool:
    """Say whether what a call tells of late is what another one has found and noted already."""
    if row.reference is None or result.reference is None:
        return isinstance(result.outcome, Succeeded) and result.outcome.output == row.output
    both = row.reference.keys() & result.reference.keys()
    return bool(both) and all(row.reference[name] == result.reference[name] for name in both)


def leave_in_doubt(
    session: Session, actions: Mapping[str, AnyAction], *, run_id: UUID, step: str, message: str
) -> bool:
    """Put a step's effect in doubt that was begun, and that nobody is to try again by himself.

    False when there is none, or when making it once more does no harm.
    """
    row = store.intended_by(session, run_id, step)
    if row is None:
        return False
    found = actions.get(row.action)
    if isinstance(found, VendorAction) and found.action.safety in CONVERGING:
        return False
    row.state, row.error = EffectState.IN_DOUBT, message
    return True


class _Unknowable(HookwrightError):  # noqa: N818
    """Nobody can tell whether the effect was made."""


def _look_up_or_perform(call: Call, context: CallContext) -> Done:
    if not call.doubtful:
        return call.action.perform(context, call.params)
    if call.action.look_up is None:
        raise _Unknowable(
            f"an earlier try of {call.action.name} was begun and its answer never came"
        )
    try:
        done = call.action.look_up(context, call.params)
    except Transient:
        raise
    except HookwrightError as error:
        raise _Unknowable(
            f"an earlier try of {call.action.name} was begun, its answer never came, and it "
            f"cannot be looked up: {error.message}"
        ) from error
    return call.action.perform(context, call.params) if done is None else done


def _after_transient(call: Call, error: Transient) -> Result:
    failed = Failed(error.code, error.message, retryable=True, retry_after=error.retry_after)
    if call.effect_key is not None and (call.doubtful or error.perhaps_done):
        if call.action.safety in CONVERGING or call.action.look_up is not None:
            # Still `intended`: the next try looks it up first, or converges by its shape.
            return Result(failed, EffectState.INTENDED)
        message = f"{error.message}; whether it took effect is unknown"
        return Result(InDoubt(message), EffectState.IN_DOUBT)
    return Result(failed, EffectState.NOT_MADE)


def earlier_references(
    database: Database, connection: str, action: str, now: datetime
) -> Sequence[Mapping[str, Any]]:
    """Give what the effects of an action left behind in the last seven days, newest first."""
    with reading(database) as session:
        return store.references_since(session, connection, action, now - EARLIER)


def step_key(
    run_id: UUID, step: str, *, round_number: int, anew: int = 0, follow_up: str = ""
) -> str:
    """Give the key of what a step does once; see `intend`."""
    parts = [str(run_id), step, str(round_number)]
    if anew or follow_up:
        parts.append(str(anew))
    return ":".join([*parts, follow_up] if follow_up else parts)


def _key(call: Call, round_number: int, anew: int, follow_up: str) -> str:
    if call.action.safety is Safety.NATURAL_KEY and call.action.key is not None:
        key = call.action.key(call.params)
        return bounded(f"{call.connection.name}:{call.action.name}:{key}", KEY_LENGTH)
    return step_key(
        call.run_id, call.step, round_number=round_number, anew=anew, follow_up=follow_up
    )


def _target_lease(connection: str, target: str) -> str:
    return bounded(f"target:{connection}:{target}", KEY_LENGTH)


def target_of(action: Action, params: BaseModel, connection: OpenConnection) -> str | None:
    """Give the name of what an action changes outside, by which calls take turns; None without."""
    target = action.target(params, connection.options) if action.target else None
    return None if target is None else bounded(target, TARGET_LENGTH)
