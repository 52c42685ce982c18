"""What holds a run back before it begins: others of its key, and the pace of its workflow.

Whoever carries a run on takes it through its gates one by one, each in a transaction of its own
that locks the gate first; service/store/gates.py says in which order locks are taken. A run that
is held back rests like any other, and what lets it pass wakes it. How events are gathered is in
service/gathering.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from schemas.document import Concurrency, Throttle
from schemas.jobs import AdvanceRun
from schemas.run_tables import RunRow, TurnRow, WaitRow
from schemas.workflow import RunStatus, WaitKind
from service.calling import answer_caller
from service.doubts import cancel_run
from service.errors import Conflict, NotFound
from service.event_form import event_view
from service.gathering import is_gathering
from service.routing import announcer
from service.runtime import Runtime
from service.starting import RING_AGAIN, inputs_of, key_fault, skip
from service.store import gates as store
from service.store import runs as runs_store
from service.store.doubts import lock_run
from service.store.payloads import payload_of
from service.store.runs import ACTIVE, LoadedRun
from service.unit_of_work import UnitOfWork, unit_of_work
from service.versions import Version
from service.workflows.decisions import Finish
from service.workflows.durations import read_duration
from service.workflows.expressions import ExpressionError
from service.workflows.gates import Gate, gate_name, gates_of, kind_of_gate, next_start
from service.workflows.scope import start_scope

log = structlog.get_logger(__name__)

_BEFORE = {WaitKind.GATHERING.value, WaitKind.QUEUE.value, WaitKind.THROTTLE.value}
LOCK_KEPT = timedelta(hours=1)
"""How long a gate is kept that holds nothing but a lock."""


def stands_before_gate(work: UnitOfWork, run: LoadedRun, version: Version) -> bool:
    """Say whether a run that was taken has not passed all its gates."""
    if run.row.container is not None or not gates_of(version.document):
        return False
    if run.wait is not None and run.wait.kind not in _BEFORE:
        return False
    return bool(_pending(store.turns_of(work.session, run.row.id)))


def pass_gates(runtime: Runtime, run_id: UUID, version: Version, lease: str) -> bool:
    """Take a run, held by this lease, through its gates; False when it does not go on now."""
    while True:
        with unit_of_work(runtime.database, runtime.queue) as work:
            passage = _pass_gate(runtime, work, run_id, version, lease)
        for other in passage.in_the_way:
            # In a transaction of its own: a run that has begun is never locked behind a gate.
            with suppress(Conflict, NotFound):
                who = f"run {run_id}, which replaces it"
                now = runtime.clock()
                cancel_run(
                    runtime.database,
                    runtime.queue,
                    run_id=other,
                    who=who,
                    now=now,
                    announce=announcer(runtime),
                )
        if passage.may_go_on is not None:
            return passage.may_go_on


def leave(work: UnitOfWork, run_id: UUID, now: datetime) -> None:
    """Give up all places of a run that ends, and let those go on who waited for them."""
    for name in store.give_up_turns(work.session, run_id):
        if kind_of_gate(name) is not Gate.GATHER:
            _call_next(work, name, now)


def lock_gates_of(work: UnitOfWork, run_id: UUID, now: datetime) -> list[TurnRow]:
    """Lock the gates at which a run has places, and give these. Comes before the run's own lock."""
    turns = store.turns_of(work.session, run_id)
    store.lock_gates(work.session, {turn.gate: now + LOCK_KEPT for turn in turns})
    return turns


@dataclass(frozen=True, slots=True)
class _Passage:
    """What came of standing before a gate.

    `may_go_on` is None when another gate may follow. `in_the_way` are runs to be cancelled.
    """

    may_go_on: bool | None = None
    in_the_way: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class _Standing:
    """A run before a gate that is locked, and its place there."""

    runtime: Runtime
    work: UnitOfWork
    run: LoadedRun
    version: Version
    turn: TurnRow
    now: datetime

    def name(self, gate: Gate) -> str:
        """Give the name of the run's gate of this kind. Raises ExpressionError."""
        event = event_view(self.run.event)
        if self.run.event.payload_id is not None:
            event["payload"] = payload_of(self.work.session, self.run.event)
        document = self.version.document
        inputs = inputs_of(document, self.run.event)
        return gate_name(document, gate, start_scope(event, self.version.vars, inputs))

    def rest(self, kind: WaitKind, until: datetime | None) -> _Passage:
        """Let the run wait, and give it back."""
        row, wait = self.run.row, self.run.wait
        since = wait.since if wait is not None and wait.kind == kind else self.now
        runs_store.clear_wait(self.work.session, row.id)
        self.work.session.add(WaitRow(run_id=row.id, step="", kind=kind, since=since, due_at=until))
        row.status = RunStatus.WAITING
        row.due_at = until
        _release(row)
        return _Passage(may_go_on=False)

    def end(self, reason: str) -> _Passage:
        """Let the run end before it has begun."""
        _skip(self.runtime, self.work, self.run.row, reason, self.now)
        return _Passage(may_go_on=False)

    def go_on(self, passed: Gate) -> _Passage:
        """Stand before the next gate; the run begins when there is none."""
        gates = gates_of(self.version.document)
        row = self.run.row
        order = list(Gate)
        following = [gate for gate in gates if order.index(gate) > order.index(passed)]
        if row.started_at is not None:
            # It goes on after it had ended: it does not begin once more.
            following = []
        if not following:
            runs_store.clear_wait(self.work.session, row.id)
            row.status = RunStatus.PENDING
            row.started_at = row.started_at or self.now
            return _Passage(may_go_on=True)
        if not _pending(store.turns_of(self.work.session, row.id)):
            try:
                name = self.name(following[0])
            except ExpressionError as error:
                return self.end(key_fault(following[0], error))
            self.work.session.add(TurnRow(gate=name, run_id=row.id))
        return _Passage()


def _pass_gate(
    runtime: Runtime, work: UnitOfWork, run_id: UUID, version: Version, lease: str
) -> _Passage:
    session = work.session
    now = runtime.clock()
    concurrency = version.document.concurrency
    pending = _pending(lock_gates_of(work, run_id, now))
    turn = pending[0] if pending else None
    gate = None if turn is None else kind_of_gate(turn.gate)
    front: Sequence[TurnRow] = ()
    if turn is not None and gate is Gate.CONCURRENCY and concurrency is not None:
        front = store.lock_front(session, turn.gate, concurrency.limit)
    run = runs_store.reload_held(session, run_id, owner=lease)
    if run is None:
        return _Passage(may_go_on=False)
    if run.cancel_requested or turn is None:
        leave(work, run_id, now)
        return _Passage(may_go_on=True)
    standing = _Standing(runtime, work, run, version, turn, now)
    throttle = version.document.throttle
    if gate is Gate.CONCURRENCY and concurrency is not None:
        return _take_turn(standing, concurrency, front)
    if gate is Gate.THROTTLE and throttle is not None:
        return _keep_pace(standing, throttle)
    if gate is Gate.GATHER and run.wait is not None and is_gathering(run.wait, now):
        return standing.rest(WaitKind.GATHERING, run.wait.due_at)
    store.remove_turn(session, turn.id)
    return standing.go_on(gate or Gate.GATHER)


# --- concurrency ------------------------------------------------------------------------------


def _take_turn(standing: _Standing, concurrency: Concurrency, front: Sequence[TurnRow]) -> _Passage:
    """Begin when fewer than `limit` of the key are under way and nobody waits longer."""
    work, turn = standing.work, standing.turn
    in_the_way: list[UUID] = []
    are_asked = True
    has_begun = standing.run.row.started_at is not None
    when_busy = "queue" if has_begun else concurrency.when_busy
    if turn not in front and when_busy == "replace":
        in_the_way, are_asked = _replace(standing, concurrency, front)
        front = store.lock_front(work.session, turn.gate, concurrency.limit)
    if turn in front:
        turn.holds = True
        work.session.flush()
        if sum(other.holds for other in front) < concurrency.limit:
            _call_next(work, turn.gate, standing.now)
        return standing.go_on(Gate.CONCURRENCY)
    if when_busy == "skip":
        busy = front[0]
        word = "under way" if busy.holds else "about to begin"
        return standing.end(f"run {busy.run_id} of its key is {word}")
    # Should this worker die before it has asked them, it is asked again.
    until = None if are_asked else standing.now + RING_AGAIN
    rested = standing.rest(WaitKind.QUEUE, until)
    return _Passage(rested.may_go_on, in_the_way)


def _replace(
    standing: _Standing, concurrency: Concurrency, front: Sequence[TurnRow]
) -> tuple[list[UUID], bool]:
    """Skip runs of the key that came before and have not begun, as far as they are in the way.

    Gives those that have begun and are still to be asked to end, and whether there are none.
    """
    session, turn = standing.work.session, standing.turn
    holding = [other for other in front if other.holds]
    places = max(0, len(holding) - concurrency.limit + 1)
    before = [*store.waiting_before(session, turn), *holding[:places]]
    facts = store.how_far(session, [other.run_id for other in before])
    in_the_way = []
    for other in before:
        begun, cancelled = facts[other.run_id]
        if not begun:
            _skip_replaced(standing, other.run_id)
        elif not cancelled:
            in_the_way.append(other.run_id)
    return in_the_way, not in_the_way


def _skip_replaced(standing: _Standing, run_id: UUID) -> None:
    session, heir = standing.work.session, standing.run.row
    row = lock_run(session, run_id)
    if row is None or row.status not in ACTIVE:
        return
    with suppress(ExpressionError):
        # Who replaces a run that waited for its moment takes its moment over; else a workflow
        # whose events come faster than its pace would never begin.
        if Gate.THROTTLE in gates_of(standing.version.document):
            name = standing.name(Gate.THROTTLE)
            store.inherit_turn(session, name, giver=run_id, heir=heir.id)
    reason = f"run {heir.id} of its key came before it had begun, and replaces it"
    _skip(standing.runtime, standing.work, row, reason, standing.now)


# --- throttle ---------------------------------------------------------------------------------


def _keep_pace(standing: _Standing, throttle: Throttle) -> _Passage:
    """Begin when fewer than `limit` of the key have begun within `per`, in the order of arrival."""
    session, turn, now = standing.work.session, standing.turn, standing.now
    gate = store.gate(session, turn.gate)
    per = read_duration(throttle.per)
    limit = throttle.limit
    starts = [datetime.fromisoformat(text) for text in gate.starts]
    ahead = store.count_before(session, turn)
    moment = next_start(starts, limit=limit, per=per, ahead=ahead, now=now)
    if moment > now:
        if throttle.when_over == "skip" and standing.run.row.started_at is None:
            runs = "run" if limit == 1 else "runs"
            return standing.end(f"{limit} {runs} of its key may begin within {throttle.per}")
        return standing.rest(WaitKind.THROTTLE, moment)
    starts = [*starts, now][-limit:]
    gate.starts = [start.isoformat() for start in starts]
    gate.keep_until = max(gate.keep_until, now + per)
    store.remove_turn(session, turn.id)
    following = store.first_waiting(session, turn.gate)
    if following is not None:
        due_at = next_start(starts, limit=limit, per=per, ahead=0, now=now)
        store.bring_forward(session, following, due_at=due_at)
    return standing.go_on(Gate.THROTTLE)


# --- runs that have not begun -----------------------------------------------------------------


def _pending(turns: Sequence[TurnRow]) -> list[TurnRow]:
    """Give the places before gates that are not passed, in the order of the gates."""
    order = list(Gate)
    waiting = [turn for turn in turns if not turn.holds]
    return sorted(waiting, key=lambda turn: order.index(kind_of_gate(turn.gate)))


def _call_next(work: UnitOfWork, name: str, now: datetime) -> None:
    run_id = store.first_waiting(work.session, name)
    if run_id is not None:
        runs_store.wake(work.session, [run_id], now=now)
        work.ring(AdvanceRun(run_id))


def _skip(runtime: Runtime, work: UnitOfWork, row: RunRow, reason: str, now: datetime) -> None:
    runs_store.clear_wait(work.session, row.id)
    skip(row, reason, now)
    _release(row)
    leave(work, row.id, now)
    answer_caller(runtime, work, row, Finish(RunStatus.SKIPPED))
    log.info("run_skipped", run_id=str(row.id), workflow=row.workflow, reason=row.reason)


def _release(row: RunRow) -> None:
    row.lease_owner = None
    row.lease_until = None
    row.failures = row.rings = 0
