"""What goes into the planner and what comes out of it: plain values, no behaviour.

Every decision that changes a step carries the step's new `state`: the caller stores it and does
what the decision says. See `planner.plan` and `transitions.after_attempt`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.events import Json
from schemas.workflow import RunError, RunStatus, Step, StepState, WaitKind


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as its rows show it.

    `event` is the JSON form of the event, `events` of all events that a coalesced run sees.
    `run` has the keys of `schemas.workflow.RUN_FIELDS`. `vars` are the document's own with the
    installation's values over them (`document.merge_vars`). `steps` holds the recorded states by
    step id; a step without a record is pending.
    """

    event: Mapping[str, Json]
    run: Mapping[str, Json]
    vars: Mapping[str, Json]
    steps: Mapping[str, StepState] = field(default_factory=dict)
    events: Sequence[Mapping[str, Json]] = ()
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class Perform:
    """Store `state` (running), commit, perform the action, then call `after_attempt`.

    `attempt` counts from 1. `timeout` is what the document says for one attempt, None when it says
    nothing. `recovering`: an earlier attempt was begun and its outcome never recorded (the worker
    died), so an effect may have been made: look it up before it is made again.
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
class Fail:
    """Store `state` (failed, with its error) and plan again."""

    step_id: str
    state: StepState


@dataclass(frozen=True, slots=True)
class Wait:
    """Store `state` (waiting); the run is waiting and is to be planned again at `until`."""

    step_id: str
    state: StepState
    kind: WaitKind
    until: datetime


@dataclass(frozen=True, slots=True)
class AwaitPerson:
    """The step's outcome is in doubt; the run waits until a person says what happened."""

    step_id: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The run ends with this status. `error` is given when it failed."""

    status: RunStatus
    error: RunError | None = None


Decision = Perform | Skip | Fail | Wait | AwaitPerson | Finish


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The action gave these outputs (JSON form)."""

    output: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Failed:
    """The action failed. `retryable` is for transient failures only."""

    code: str
    message: str
    retryable: bool
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Nobody can tell whether the effect was made."""

    message: str
    code: str = "in_doubt"


Outcome = Succeeded | Failed | InDoubt
