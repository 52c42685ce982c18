"""What happens outside while a run is simulated, and which of its steps it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.document import ApprovalStep, WaitStep
from schemas.events import Json
from schemas.workflow import StepState, StepStatus, WaitKind
from service.workflows.awaiting import is_awaited
from service.workflows.decisions import Wait
from service.workflows.durations import resolve_duration
from service.workflows.expressions import ExpressionError
from service.workflows.scope import run_scope
from service.workflows.simulated import Arrived, Awaited, Cancel, Decided, Later, Settled
from service.workflows.simulated_branches import Branch
from service.workflows.transitions import settle_doubt
from service.workflows.waiting import approval_answer, event_answer


@dataclass(frozen=True, slots=True)
class OutsideAnswer:
    """An answer that is under way to a step: of a called run, or an event that was found."""

    branch: Branch
    step_id: str
    answer: Mapping[str, Json]


class World(Protocol):
    """What is needed of a simulation here."""

    start: datetime
    now: datetime
    root: Branch
    open: dict[str, Branch]
    arrived: list[Mapping[str, Json]]
    unused: list[Later]
    awaited: Awaited | None

    def schedule(self, at: datetime, what: OutsideAnswer) -> None:
        """Let something happen at a time."""
        ...

    def ring(self, branch: Branch) -> None:
        """Let a branch be carried on now."""
        ...

    def store(self, branch: Branch, state: StepState) -> None:
        """Record how far a step has come."""
        ...

    def cancel(self, root: Branch) -> None:
        """Ask for a run to end."""
        ...


def happen(world: World, what: Later | OutsideAnswer) -> None:
    """Let something happen now."""
    if isinstance(what, OutsideAnswer):
        _answer(world, what.branch, what.step_id, what.answer)
        return
    used = True
    match what.what:
        case Arrived(event=event):
            world.arrived.append(event)
            deliver(world, event)
        case Decided() as decided:
            used = _decide(world, decided)
        case Settled() as settled:
            used = _settle(world, settled)
        case Cancel():
            world.cancel(world.root)
    if not used:
        world.unused.append(what)


def deliver(world: World, event: Mapping[str, Json]) -> None:
    """Give an event to every step that waits for it."""
    for branch in tuple(world.open.values()):
        for step_id, state in branch.own_states():
            if state.wait is WaitKind.EVENT and _fits(branch, step_id, event):
                _answer(world, branch, step_id, event_answer(event))


def has_come(world: World, branch: Branch, wait: Wait) -> bool:
    """Answer a `wait_for` with an event that came since the run began, if there is one."""
    state = wait.state
    step = branch.run.document.step(wait.step_id)
    if state.answer is not None or state.started_at != world.now or not isinstance(step, WaitStep):
        return False
    known: Iterable[tuple[datetime, Mapping[str, Json]]] = ((world.now, e) for e in world.arrived)
    event = next((event for _, event in known if _fits(branch, step.id, event)), None)
    if event is not None:
        return _answer(world, branch, step.id, event_answer(event))
    if world.awaited is None or wait.until is None:
        return False
    for at, found in world.awaited(step.wait_for, world.start, wait.until):
        if at <= wait.until and _fits(branch, step.id, found):
            if at <= world.now:
                return _answer(world, branch, step.id, event_answer(found))
            world.schedule(at, OutsideAnswer(branch, step.id, event_answer(found)))
            return False
    return False


def _fits(branch: Branch, step_id: str, event: Mapping[str, Json]) -> bool:
    document = branch.run.document
    step = document.step(step_id)
    return isinstance(step, WaitStep) and is_awaited(document, branch.view, step, event)


def _decide(world: World, decided: Decided) -> bool:
    answer = approval_answer(
        approved=decided.approved,
        by=decided.by,
        note=decided.note,
        decided_at=world.now.isoformat().replace("+00:00", "Z"),
    )
    found = _find(world, decided.path, StepStatus.WAITING, WaitKind.APPROVAL)
    return found is not None and _answer(world, *found, answer)


def _settle(world: World, settled: Settled) -> bool:
    found = _find(world, settled.path, StepStatus.IN_DOUBT, None)
    if found is None or found[0].is_stopped(found[1]):
        return False
    branch, step_id = found
    state = settle_doubt(
        branch.states[step_id],
        took_effect=settled.took_effect,
        output=dict(settled.output),
        asked_until=_asked_until(world, branch, step_id),
    )
    world.store(branch, state)
    world.ring(branch)
    return True


def _asked_until(world: World, branch: Branch, step_id: str) -> datetime | None:
    document = branch.run.document
    step = document.step(step_id)
    if not isinstance(step, ApprovalStep):
        return None
    try:
        timeout = resolve_duration(step.approval.timeout, run_scope(document, branch.view))
    except ExpressionError:
        return world.now
    return world.now + timeout


def _find(
    world: World, path: str, status: StepStatus, wait: WaitKind | None
) -> tuple[Branch, str] | None:
    """Find a step in this state by its path; by its id alone, the first of those."""
    first: tuple[Branch, str] | None = None
    for branch in world.open.values():
        for step_id, state in branch.own_states():
            if state.status is status and state.wait is wait and state.answer is None:
                if branch.prefix + step_id == path:
                    return branch, step_id
                if step_id == path and first is None:
                    first = branch, step_id
    return first


def _answer(world: World, branch: Branch, step_id: str, answer: Mapping[str, Json]) -> bool:
    """Give a waiting step its answer and let its branch go on. The first answer counts."""
    state = branch.states[step_id]
    over = branch.ended is not None or branch.is_stopped(step_id)
    if over or state.status is not StepStatus.WAITING or state.answer is not None:
        return False
    branch.states[step_id] = state.model_copy(update={"answer": dict(answer)})
    world.ring(branch)
    return True
