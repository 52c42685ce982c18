"""What goes into a simulation and what comes out of it: plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.document import Document, Step, WaitFor
from schemas.events import EventDraft, Json
from schemas.workflow import RunError, RunStatus, StepError, StepStatus, WaitKind
from service.workflows.decisions import Outcome


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """An action that a played run performs, or an approval that it asks for over a vendor.

    `path` is the step's id behind the branches it stands in (`note`, `each[3].note`); a step of a
    called workflow stands behind the step that called it (`sub.note`). `action` is its name
    (`github.comment`, `slack.ask_approval`), `at` the virtual time, `timeout` what the document
    says for one attempt. `recovering`: the worker was lost during the attempt before.
    `reads_unknown` says whether it reads what a shadowed effect would have answered; it is asked
    while the call is answered.
    """

    path: str
    step: Step
    action: str
    params: Mapping[str, Json]
    attempt: int
    polls: int
    at: datetime
    timeout: timedelta | None = None
    recovering: bool = False
    reads_unknown: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a call, and how long it takes in virtual time.

    An `outcome` of None: the worker is lost during the call, and nobody hears the answer. A call
    that takes longer than its step's `timeout` fails with `timed_out` when that has passed.
    """

    outcome: Outcome | None
    after: timedelta = timedelta(0)


Script = Callable[[SimulatedCall], Answer]
"""Answers the calls of a run. What it raises ends the simulation and reaches its caller."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Somebody approves or rejects what the approval at this path asks."""

    path: str
    approved: bool
    by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Somebody says whether the step in doubt at this path took effect."""

    path: str
    took_effect: bool
    output: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody cancels the run."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event (JSON form of `schemas.events.Event`) arrives."""

    event: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Later:
    """Something that happens outside at a time (aware UTC)."""

    at: datetime
    what: Arrived | Decided | Settled | Cancel


@dataclass(frozen=True, slots=True)
class CalledEnd:
    """How a called workflow ends, when it is not played itself."""

    status: RunStatus = RunStatus.SUCCEEDED
    outputs: Mapping[str, Json] = field(default_factory=dict)
    error: str | None = None
    after: timedelta = timedelta(0)


Called = Callable[[str, Mapping[str, Json]], Document | CalledEnd | None]
"""Gives the workflow with this name, or how it ends when it is given these inputs; None: there is
no such workflow."""
Awaited = Callable[[WaitFor, datetime, datetime], Iterable[tuple[datetime, Mapping[str, Json]]]]
"""Gives events from outside, in the order they came, that a `wait_for` may concern, from the start
of the run up to a time: for those who cannot name all of them before."""


@dataclass(frozen=True, slots=True)
class PlayedStep:
    """How far a step came. `ended_at` is None for a step that did not end.

    `calls_before`: how many calls of the run had been made when it ended.
    """

    path: str
    kind: str
    status: StepStatus
    attempts: int
    polls: int
    output: Mapping[str, Json] | None
    error: StepError | None
    reason: str | None
    started_at: datetime | None
    ended_at: datetime | None
    calls_before: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """How a run went. `steps` stand in the order in which they were come to.

    `status` is WAITING, with what each branch waits for in `waiting_on` by the step's path, when
    nothing lets it go on; it is RUNNING when it was `cut_short` after too many calls. `emitted`
    are the events of its `emit` steps. `called` are the workflows it called: path, name, inputs.
    `unused` happened when it changed nothing: the run had ended, or nobody waited for it.
    """

    status: RunStatus
    error: RunError | None
    output: Json
    steps: tuple[PlayedStep, ...]
    calls: tuple[tuple[SimulatedCall, Answer], ...]
    emitted: tuple[EventDraft, ...]
    called: tuple[tuple[str, str, Mapping[str, Json]], ...]
    started_at: datetime
    ended_at: datetime
    waiting_on: Mapping[str, WaitKind]
    unused: tuple[Later, ...] = ()
    cut_short: bool = False
