"""The runs and branches of a simulation: what the rows of a real run hold."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from schemas.document import Document, EachStep, Step, kind_of
from schemas.events import Json
from schemas.workflow import StepState
from service.workflows.decisions import Finish, Outcome, Perform, Place, RunView
from service.workflows.simulated import PlayedStep


@dataclass(slots=True, eq=False)
class Run:
    """What all branches of a run share. `path`: the step that called it, empty for the first."""

    document: Document
    facts: Mapping[str, Json]
    path: str = ""
    depth: int = 0
    caller: tuple[Branch, str] | None = None
    cancel_requested: bool = False


@dataclass(slots=True, eq=False)
class Branch:
    """A run, or a branch of one.

    `states` are the records of its frame: ids are unique in a document, so the arms of a `parallel`
    share those of what they stand in, and only an item of a `for_each` has a frame of its own.
    `view` sees them as they are at any time. `calling` is the call that is under way with what will
    come of it, `due_at` when the branch is to be carried on.
    """

    run: Run
    view: RunView
    states: MutableMapping[str, StepState]
    parent: Branch | None = None
    container: Step | None = None
    number: int = 0
    local_path: str = ""
    items: dict[str, Sequence[Json] | None] = field(default_factory=dict)
    results: dict[str, dict[int, Json]] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    due_at: datetime | None = None
    calling: tuple[Perform, Outcome | None] | None = None
    ended: Finish | None = None
    prefix: str = field(init=False)

    def __post_init__(self) -> None:
        """Work out the path once: every record needs it."""
        path = "/".join(part for part in (self.run.path, self.local_path) if part)
        self.prefix = f"{path}." if path else ""

    def own_states(self) -> Iterator[tuple[str, StepState]]:
        """Give the records of its own steps, not of other arms."""
        return ((step_id, self.states[step_id]) for step_id in tuple(self.records))

    def is_stopped(self, step_id: str) -> bool:
        """Say whether a cancel ends this step."""
        return self.run.cancel_requested and not self.run.document.is_tidying(step_id)

    def see_cancelled(self) -> None:
        """Let the planner see that the run shall end."""
        self.view = replace(self.view, cancel_requested=True)

    def begin(self, step: Step, number: int) -> Branch:
        """Give the branch for an arm or an item of this step."""
        local = f"{step.id}[{number}]"
        variables, states, seen = self.view.items, self.states, self.view.steps
        if isinstance(step, EachStep):
            items = self.items[step.id] or ()
            named = {step.variable: items[number], f"{step.variable}_index": number}
            variables = {**variables, **named}
            states = {}
            seen = ChainMap(states, seen)  # type: ignore[arg-type]  # the outer one is only read
        return Branch(
            run=self.run,
            view=replace(
                self.view,
                steps=seen,
                items=variables,
                place=Place(step.id, number),
                cancel_requested=self.run.cancel_requested,
            ),
            states=states,
            parent=self,
            container=step,
            number=number,
            local_path=f"{self.local_path}/{local}" if self.local_path else local,
        )


@dataclass(slots=True, eq=False)
class Record:
    """A step that was come to, and when it ended: the time, and after how many calls."""

    branch: Branch
    step: Step
    ended_at: datetime | None = None
    calls_before: int = 0

    def played(self) -> PlayedStep:
        """Give how far it came."""
        state = self.branch.states[self.step.id]
        return PlayedStep(
            path=self.branch.prefix + self.step.id,
            kind=kind_of(self.step),
            status=state.status,
            attempts=state.attempts,
            polls=state.polls,
            output=state.output,
            error=state.error,
            reason=state.reason,
            started_at=state.started_at,
            ended_at=self.ended_at,
            calls_before=self.calls_before,
        )


def begin_run(
    document: Document,
    *,
    event: Mapping[str, Json],
    events: Sequence[Mapping[str, Json]] = (),
    facts: Mapping[str, Json],
    values: Mapping[str, Json],
    inputs: Mapping[str, Json],
    path: str = "",
    depth: int = 0,
    caller: tuple[Branch, str] | None = None,
) -> Branch:
    """Give a run that begins. `values` are its vars."""
    states: dict[str, StepState] = {}
    view = RunView(event=event, run=facts, vars=values, steps=states, events=events, inputs=inputs)
    return Branch(run=Run(document, facts, path, depth, caller), view=view, states=states)
