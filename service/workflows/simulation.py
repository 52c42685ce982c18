"""Plays a document in virtual time, with the planner that carries real runs on.

Pure: nothing is called, stored or waited for. What a run would ask of others is asked of a script,
and what happens outside while it runs is given before. The same arguments give the same run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from schemas.document import CallStep, Document, EmitStep, Step
from schemas.events import EventDraft, Json
from schemas.workflow import RunStatus, StepState, StepStatus, WaitKind
from service.workflows.branching import (
    AfterBranch,
    after_branch,
    collects,
    count_end,
    gather_results,
)
from service.workflows.decisions import (
    AwaitPerson,
    Failed,
    Finish,
    Outcome,
    Perform,
    Spread,
    Wait,
)
from service.workflows.document import merge_vars
from service.workflows.inputs import default_inputs
from service.workflows.own_steps import in_shadow, unasked
from service.workflows.planner import plan
from service.workflows.shadow import not_awaited
from service.workflows.simulated import (
    Answer,
    Awaited,
    Called,
    Later,
    Played,
    Script,
    SimulatedCall,
)
from service.workflows.simulated_branches import Branch, Record, begin_run
from service.workflows.simulated_outside import OutsideAnswer, happen, has_come
from service.workflows.simulated_steps import ask, call, emit
from service.workflows.transitions import after_attempt
from service.workflows.waiting import call_answer

MOST_ATTEMPTS = 100_000
"""Attempts and branches of one simulation."""
LEASE = timedelta(seconds=8)
"""How long nobody goes on after a worker was lost."""


def play(
    document: Document,
    *,
    event: Mapping[str, Json],
    script: Script,
    start: datetime,
    events: Sequence[Mapping[str, Json]] = (),
    vars: Mapping[str, Json] | None = None,  # noqa: A002  # the language's word
    inputs: Mapping[str, Json] | None = None,
    later: Sequence[Later] = (),
    called: Called | None = None,
    awaited: Awaited | None = None,
    run_facts: Mapping[str, Json] | None = None,
    shadow: bool = False,
    jitter: float = 1.0,
    most_attempts: int = MOST_ATTEMPTS,
) -> Played:
    """Play a run that this event has started, to its end or until nothing lets it go on.

    `event` is the JSON form of an event and `events` all that a coalesced run sees; whether they
    start a run is not asked here (`matching.matches`). `start` (aware UTC) is when it begins.
    `vars` are the installation's values, `inputs` those of a start by hand. `later` happens
    outside, in the order of its times. `run_facts` replace fields of `run`. `jitter` (0..1) is the
    part of its longest pause that each retry waits. A run that makes more than `most_attempts` is
    cut short. Raises what the script raises, and nothing else.
    """
    facts: dict[str, Json] = {
        "id": str(UUID(int=0)),
        "workflow": document.name,
        "version": 1,
        "mode": "shadow" if shadow else "live",
        "started_at": start.isoformat(),
        "url": None,
        "correlation_id": event.get("correlation_id"),
        "event": event,
        **(run_facts or {}),
    }
    root = begin_run(
        document,
        event=event,
        events=events,
        facts=facts,
        values=merge_vars(document, vars or {}),
        inputs=default_inputs(document) | dict(inputs or {}),
    )
    simulation = Simulation(root, start, script, called, awaited, shadow, jitter, most_attempts)
    for item in sorted(later, key=lambda item: item.at):
        simulation.schedule(max(item.at, start), item)
    return simulation.play()


class Simulation:
    """One run and the world around it: the clock, what is due, and what was asked of others."""

    def __init__(  # the arguments of `play`
        self,
        root: Branch,
        start: datetime,
        script: Script,
        called: Called | None,
        awaited: Awaited | None,
        shadow: bool,  # noqa: FBT001
        jitter: float,
        attempts_left: int,
    ) -> None:
        """Stand at the beginning of the run."""
        self.root = root
        self.start = self.now = start
        self.script, self.called, self.awaited = script, called, awaited
        self.shadow, self.jitter, self.attempts_left = shadow, jitter, attempts_left
        self.open = {root.prefix: root}
        self.arrived: list[Mapping[str, Json]] = []
        self.unused: list[Later] = []
        self.calls: list[tuple[SimulatedCall, Answer]] = []
        self.emitted: list[EventDraft] = []
        self.called_runs: list[tuple[str, str, Mapping[str, Json]]] = []
        self.ids_given = 0
        self._due: list[tuple[datetime, int, Branch | Later | OutsideAnswer]] = []
        self._scheduled = 0
        self._records: list[Record] = []

    def play(self) -> Played:
        """Do what is due, one thing after the other, until there is nothing more."""
        self._carry_on(self.root)
        while self._due and self.attempts_left > 0:
            at, _, what = heappop(self._due)
            if isinstance(what, Branch):
                # A bell rung before the branch was given another time is for nobody.
                if what.ended is None and what.due_at == at:
                    self.now = at
                    self._carry_on(what)
            elif self.root.ended is None:
                self.now = at
                happen(self, what)
            elif isinstance(what, Later):
                self.unused.append(what)
        return self._played()

    def schedule(self, at: datetime, what: Branch | Later | OutsideAnswer) -> None:
        """Let something be done at a time; of what is due at once, the earlier scheduled first."""
        self._scheduled += 1
        heappush(self._due, (at, self._scheduled, what))

    def ring(self, branch: Branch, at: datetime | None = None) -> None:
        """Let a branch be carried on at a time, by default now."""
        branch.due_at = at or self.now
        self.schedule(branch.due_at, branch)

    def store(self, branch: Branch, state: StepState) -> None:
        """Record how far a step has come."""
        record = branch.records.get(state.step_id)
        if record is None:
            record = Record(branch, branch.run.document.step(state.step_id))
            branch.records[state.step_id] = record
            self._records.append(record)
        branch.states[state.step_id] = state
        if state.status.is_final:
            record.ended_at = self.now
            record.calls_before = len(self.calls)

    def cancel(self, root: Branch) -> None:
        """Ask for the run to end, with all its branches."""
        root.run.cancel_requested = True
        for branch in tuple(self.open.values()):
            if branch.run is root.run:
                branch.see_cancelled()
                if branch.calling is None:
                    self.ring(branch)

    # --- carrying a branch on -------------------------------------------------------------------

    def _carry_on(self, branch: Branch) -> None:
        """Do what the planner decides until the branch ends or rests."""
        branch.due_at = None
        if branch.calling is not None:
            decision, outcome = branch.calling
            branch.calling = None
            if outcome is not None:
                self._settle(branch, decision, outcome)
        going = True
        while going:
            going = self._apply(branch)

    def _apply(self, branch: Branch) -> bool:
        """Do what the planner decides next. False when the branch ends or rests."""
        document = branch.run.document
        decision = plan(document, branch.view, self.now)
        match decision:
            case Perform():
                return self._perform(branch, decision)
            case Wait(kind=WaitKind.APPROVAL, state=state) if self.shadow:
                self.store(branch, unasked(state, self.now))
            case Wait(kind=WaitKind.EVENT, state=state) if self.shadow and (
                over := not_awaited(document, branch.view.steps, state, self.now)
            ):
                self.store(branch, over)
            case Wait(state=state, until=until):
                self.store(branch, state)
                if until is not None:
                    self.ring(branch, max(until, self.now))
                return decision.kind is WaitKind.EVENT and has_come(self, branch, decision)
            case Finish():
                self._end(branch, decision)
                return False
            case AwaitPerson():
                return False
            case Spread():
                self._spread(branch, decision)
            case _:
                self.store(branch, decision.state)
                if decision.state.status is StepStatus.CANCELLED:
                    self._cancel_called(branch, decision.step_id)
        return True

    def _perform(self, branch: Branch, decision: Perform) -> bool:
        """Make an attempt. False when its outcome is not there yet, and the branch rests."""
        self.store(branch, decision.state)
        self.attempts_left -= 1
        match decision.step:
            case EmitStep() as step:
                outcome: Outcome | None = emit(self, step, decision)
            case CallStep() as step:
                outcome = call(self, branch, step, decision)
            case _:
                answer = ask(self, branch, decision)
                outcome, after = answer.outcome, answer.after
                if decision.timeout is not None and after > decision.timeout:
                    after = decision.timeout
                    message = f"no answer came within {after.total_seconds():g} s"
                    outcome = Failed("timed_out", message, retryable=True)
                if outcome is None:
                    after += LEASE
                if after > timedelta(0) or self.attempts_left <= 0:
                    branch.calling = decision, outcome
                    self.ring(branch, self.now + after)
                    return False
        if outcome is not None:
            self._settle(branch, decision, outcome)
        return True

    def _settle(self, branch: Branch, decision: Perform, outcome: Outcome) -> None:
        document = branch.run.document
        state = after_attempt(
            document, branch.view, decision.state, outcome, now=self.now, jitter=self.jitter
        )
        self.store(branch, in_shadow(document, state) if self.shadow else state)

    def _cancel_called(self, branch: Branch, step_id: str) -> None:
        for other in tuple(self.open.values()):
            if other.run.caller == (branch, step_id) and other.parent is None:
                self.cancel(other)

    def _end(self, branch: Branch, decision: Finish) -> None:
        branch.ended = decision
        del self.open[branch.prefix]
        if branch.parent is not None and branch.container is not None:
            self._end_branch(branch, branch.parent, branch.container, decision)
        elif branch.run.caller is not None:
            caller, step_id = branch.run.caller
            answer = call_answer(
                run_id=str(branch.run.facts["id"]),
                status=decision.status,
                outputs=decision.output if isinstance(decision.output, Mapping) else None,
                error=None if decision.error is None else decision.error.message,
            )
            self.schedule(self.now, OutsideAnswer(caller, step_id, answer))

    # --- branches -------------------------------------------------------------------------------

    def _spread(self, branch: Branch, decision: Spread) -> None:
        self.store(branch, decision.state)
        step = branch.run.document.step(decision.step_id)
        branch.items[step.id] = decision.items
        tally = decision.tally.model_copy(update={"begun": decision.begin})
        branch.states[step.id] = decision.state.model_copy(update={"tally": tally})
        for number in range(decision.begin):
            self._begin_branch(branch, step, number)

    def _begin_branch(self, parent: Branch, step: Step, number: int) -> None:
        self.attempts_left -= 1
        branch = parent.begin(step, number)
        self.open[branch.prefix] = branch
        self.ring(branch)

    def _end_branch(self, branch: Branch, parent: Branch, step: Step, decision: Finish) -> None:
        state = parent.states[step.id]
        if state.tally is None:
            return
        cancelled = branch.is_stopped(step.id)
        tally = count_end(state.tally, decision, branch.local_path)
        changed: dict[str, Any] = {"tally": tally}
        results = parent.results.setdefault(step.id, {})
        results[branch.number] = decision.output
        match after_branch(step, tally, cancelled=cancelled):
            case AfterBranch.BEGIN_NEXT:
                changed["tally"] = tally.model_copy(update={"begun": tally.begun + 1})
                self._begin_branch(parent, step, tally.begun)
            case AfterBranch.GO_ON:
                if collects(step, cancelled=cancelled):
                    changed["answer"] = gather_results(results[at] for at in sorted(results))
                self.ring(parent)
            case AfterBranch.NOTHING:
                pass
        parent.states[step.id] = state.model_copy(update=changed)

    # --- the end ----------------------------------------------------------------------------------

    def _played(self) -> Played:
        ended = self.root.ended
        cut_short = ended is None and self.attempts_left <= 0
        waiting_on: dict[str, WaitKind] = {}
        for branch in self.open.values() if ended is None else ():
            for step_id, state in branch.own_states():
                if state.status is StepStatus.WAITING:
                    waiting_on[branch.prefix + step_id] = state.wait or WaitKind.RETRY
                elif state.status is StepStatus.IN_DOUBT:
                    waiting_on[branch.prefix + step_id] = WaitKind.PERSON
        status = RunStatus.RUNNING if cut_short else RunStatus.WAITING
        return Played(
            status=status if ended is None else ended.status,
            error=None if ended is None else ended.error,
            output=None if ended is None else ended.output,
            steps=tuple(record.played() for record in self._records),
            calls=tuple(self.calls),
            emitted=tuple(self.emitted),
            called=tuple(self.called_runs),
            started_at=self.start,
            ended_at=self.now,
            waiting_on=waiting_on,
            unused=tuple(self.unused),
            cut_short=cut_short,
        )
