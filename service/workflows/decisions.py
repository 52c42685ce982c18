"""What goes into the planner and what comes out of it: plain values, no behaviour.

Every decision that changes a step carries the step's new `state`: the caller stores it and does
what the decision says. See `planner.plan` and `transitions.after_attempt`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.document import Step
from schemas.events import Json
from schemas.workflow import RunError, RunStatus, StepState, Tally, WaitKind


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of the document a branch carries on.

    The arm `number` of the `parallel` step `container`, or the steps of the `for_each` step
    `container` for its item `number`; both count from 0.
    """

    container: str
    number: int

    def __str__(self) -> str:
        """Give it as people read it: `each[3]`."""
        return f"{self.container}[{self.number}]"


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, or one branch of it, as its rows show it.

    `event` is the JSON form of the event, `events` of all events that a coalesced run sees.
    `run` has the keys of `schemas.workflow.RUN_FIELDS`. `vars` are the document's own with the
    installation's values over them (`document.merge_vars`). `inputs` are what a start by hand or a
    call gave, with the defaults of the rest. `steps` holds the recorded states by step id, those of
    this branch and of the sequences around it; a step without a record is pending. `items` are the
    loop variables by name. `place` is None for the run itself.
    """

    event: Mapping[str, Json]
    run: Mapping[str, Json]
    vars: Mapping[str, Json]
    steps: Mapping[str, StepState] = field(default_factory=dict)
    events: Sequence[Mapping[str, Json]] = ()
    inputs: Mapping[str, Json] = field(default_factory=dict)
    items: Mapping[str, Json] = field(default_factory=dict)
    place: Place | None = None
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class Perform:
    """Store `state` (running), commit, perform the step, then call `after_attempt`.

    `step` uses an action, asks for an approval, emits an event or calls a workflow; `params` are
    the action's parameters, what is asked (`text`), the event (`type`, `subject`, `facts`) or the
    inputs. `attempt` counts from 1. `timeout` is what the document says for one attempt, None when
    it says nothing. `recovering`: an earlier attempt was begun and its outcome never recorded (the
    worker died), so an effect may have been made: look it up before it is made again.
    """

    step: Step
    state: StepState
    attempt: int
    params: Mapping[str, Json]
    connection: str | None
    timeout: timedelta | None
    recovering: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Store `state` (skipped) and plan again. `reason` is in words for people."""

    step_id: str
    state: StepState
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """Store `state` (succeeded or cancelled) and plan again."""

    step_id: str
    state: StepState


@dataclass(frozen=True, slots=True)
class Fail:
    """Store `state` (failed, with its error) and plan again."""

    step_id: str
    state: StepState


@dataclass(frozen=True, slots=True)
class Spread:
    """Store `state` (waiting, with its tally), make the first `begin` branches, and plan again.

    `items` are those of a `for_each`, None for the arms of a `parallel`.
    """

    step_id: str
    state: StepState
    tally: Tally
    begin: int
    items: Sequence[Json] | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Store `state` (waiting); the run is waiting and is to be planned again at `until`.

    `until` of None: only what is waited for lets it go on.
    """

    step_id: str
    state: StepState
    kind: WaitKind
    until: datetime | None


@dataclass(frozen=True, slots=True)
class AwaitPerson:
    """The step's outcome is in doubt; the run waits until a person says what happened."""

    step_id: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The run (or branch) ends with this status. `error` is given when it failed.

    `output`: a run's `outputs`, or what a branch of a `for_each` gives for `collect`.
    """

    status: RunStatus
    error: RunError | None = None
    output: Json = None


Decision = Perform | Skip | Done | Fail | Spread | Wait | AwaitPerson | Finish


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The action gave these outputs (JSON form)."""

    output: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Failed:
    """The action failed. `retryable` is for transient failures only.

    `fault`: what the traceback of a fault of ours is found by.
    """

    code: str
    message: str
    retryable: bool
    retry_after: timedelta | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Nobody can tell whether the effect was made."""

    message: str
    code: str = "in_doubt"
    fault: str | None = None


Outcome = Succeeded | Failed | InDoubt
