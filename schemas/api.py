"""Bodies and questions of the management API (contract §6). No I/O."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StrictBool

from schemas.events import Event, Json, Origin
from schemas.states import AlertState, DeliveryState
from schemas.test_reports import FindingOut
from schemas.workflow import RunStatus, WaitKind

T = TypeVar("T")


class Answer(BaseModel):
    """Base of every answer."""

    # Here and in other bases: validators are made when they are first used. There are hundreds of
    # models, and making all of them was a quarter of what a command takes to start.
    model_config = ConfigDict(defer_build=True, from_attributes=True)


class Page(Answer, Generic[T]):
    """A part of a list, newest first. `next_cursor` is sent as `cursor` for the part after it."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


class Fault(Answer):
    """One thing wrong with a request: where (JSON pointer or parameter) and what."""

    pointer: str
    detail: str


class Problem(Answer):
    """An error (RFC 9457). `title` is the same for every problem of one `type`.

    `findings`: everything that is wrong with a document, each with its place. `fault`: what the
    traceback of a mistake of ours is found by in the log.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    hint: str | None = None
    fault: str | None = None
    errors: list[Fault] | None = None
    findings: list[FindingOut] | None = None


# --- questions --------------------------------------------------------------------------------


def _as_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this time is outside the years 1 to 9999 in UTC") from error


UtcTime = Annotated[AwareDatetime, AfterValidator(_as_utc)]


class Question(BaseModel):
    """What every list takes: how many rows, and after which."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=100)

    def filters(self) -> dict[str, Any]:
        """Give what narrows the list, without what turns its pages."""
        return self.model_dump(exclude={"limit", "cursor"}, exclude_none=True, mode="json")


class TimedQuestion(Question):
    """A list with a time: `since` is included, `until` is not. Times carry a zone."""

    since: UtcTime | None = None
    until: UtcTime | None = None


class DeliveryQuestion(TimedQuestion):
    """Which deliveries. `q` is a delivery key, or a part of one.

    Parts are looked for in a portion of the deliveries at a time: a page may hold few rows, or
    none, and be followed by more.
    """

    source: str | None = None
    vendor: str | None = None
    verdict: Literal["verified"] | None = None
    state: DeliveryState | None = None
    q: str | None = Field(default=None, max_length=200)


class EventQuestion(TimedQuestion):
    """Which events. `type` takes `*`.

    `search`: the words that an event has, in any order, in its types, its vendor, source and
    subject and the texts of its facts. A word ending in `*` stands for all that begin so. Upper and
    lower case are the same. `q` is another name for it.
    """

    type: str | None = Field(default=None, max_length=200)
    vendor: str | None = None
    source: str | None = None
    subject: str | None = None
    search: str | None = Field(default=None, max_length=200)
    q: str | None = Field(default=None, max_length=200)

    @property
    def words(self) -> str | None:
        """The words that are searched for."""
        return " ".join(filter(None, (self.search, self.q))) or None


class RunQuestion(TimedQuestion):
    """Which runs. `waiting_for`: those that wait for this, themselves or in a branch."""

    workflow: str | None = None
    status: RunStatus | None = None
    event: UUID | None = None
    waiting_for: WaitKind | None = None


class BranchQuestion(Question):
    """Which branches of a run. `step` is the `parallel` or `for_each` they belong to."""

    step: str | None = Field(default=None, max_length=200)
    status: RunStatus | None = None


class AlertQuestion(TimedQuestion):
    """Which alerts. `key` takes `*`."""

    state: AlertState | None = None
    severity: str | None = None
    key: str | None = Field(default=None, max_length=300)


class RejectionQuestion(TimedQuestion):
    """Which refused requests. `source` also finds what was sent to a name that is no source's."""

    source: str | None = None
    reason: str | None = None
    cause: str | None = Field(default=None, max_length=40)


# --- answers ----------------------------------------------------------------------------------


class DeliveryOut(Answer):
    """A delivery in a list. `replays`: how often it was read anew by hand.

    `rejection_id`: it was refused at first, and accepted when that request was verified again.
    `fault`: what the traceback of its `error` is found by in the log.
    """

    id: UUID
    source: str
    vendor: str
    delivery_key: str
    received_at: datetime
    verdict: Literal["verified"] = "verified"
    state: DeliveryState
    body_bytes: int
    failures: int
    error: str | None
    fault: str | None
    replays: int
    rejection_id: UUID | None


class EventRef(Answer):
    """An event as others speak of it."""

    id: UUID
    type: str
    subject: str | None
    time: datetime
    received_at: datetime


class RunRef(Answer):
    """A run as others speak of it. `replay`: 0 for the one that its event started by itself."""

    id: UUID
    workflow: str
    status: RunStatus
    replay: int
    created_at: datetime
    ended_at: datetime | None


class Body(Answer):
    """A stored body: as text when it is UTF-8, else as base64."""

    encoding: Literal["text", "base64"]
    content: str


class DeliveryDetail(DeliveryOut):
    """A delivery with all that came and all that became of it. Secret headers are struck out."""

    headers: list[tuple[str, str]]
    body: Body
    events: list[EventRef]
    runs: list[RunRef]


class EventOut(Answer):
    """An event in a list: everything but the vendor's own body."""

    id: UUID
    type: str
    vendor: str
    vendor_type: str
    source: str | None
    delivery_id: UUID | None
    origin: Origin
    subject: str | None
    time: datetime
    received_at: datetime
    facts: dict[str, Json]
    correlation_id: UUID
    caused_by: UUID | None


class EventDetail(Event):
    """An event with the vendor's own body and the runs it started."""

    runs: list[RunRef]


class WaitOut(Answer):
    """Why a run stands still, and until when (None: until something happens).

    `words` say it to people. `question`: what a person is asked. `path`: the branch that waits.
    """

    run_id: UUID
    path: str | None
    step: str
    kind: str
    words: str
    question: str | None
    since: datetime
    due_at: datetime | None


class RunOut(Answer):
    """A run in a list. `waits` is filled where runs are asked for by what they wait for.

    `replay` is 0 for the run that its event started by itself, and counts those that were started
    for it anew; `started_by` says by whom, `bulk_job_id` with which work in bulk.
    """

    id: UUID
    workflow: str
    status: RunStatus
    shadow: bool
    reason: str | None
    error: dict[str, Any] | None
    event_id: UUID
    correlation_id: UUID
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    retries: int
    replay: int
    started_by: str | None
    bulk_job_id: UUID | None
    cancel_requested: bool
    waits: list[WaitOut] = []


class AttemptOut(Answer):
    """One try of a step."""

    number: int
    status: str
    started_at: datetime
    ended_at: datetime | None
    output: Json = None
    error: dict[str, Any] | None


class StepOut(Answer):
    """One node of a run with its tries. `round`: how often it was performed once more."""

    step: str
    position: int
    kind: str
    action: str | None
    status: str
    polls: int
    round: int
    output: Json = None
    answer: dict[str, Json] | None
    error: dict[str, Any] | None
    reason: str | None
    started_at: datetime | None
    ended_at: datetime | None
    attempts: list[AttemptOut]


class SpreadOut(Answer):
    """How far the branches of a step have come."""

    step: str
    total: int
    begun: int
    under_way: int
    succeeded: int
    failed: int
    cancelled: int


class BranchOut(Answer):
    """A branch: an arm of a `parallel` (`number` from 0) or what is done for one `item`."""

    id: UUID
    path: str
    step: str
    number: int
    item: Json = None
    status: RunStatus
    error: dict[str, Any] | None
    output: Json = None
    started_at: datetime | None
    ended_at: datetime | None
    wait: WaitOut | None = None


class CallRef(RunRef):
    """A run that was called by another one, and the step that called it."""

    step: str


class EffectOut(Answer):
    """A change that was made, or in shadow mode (`shadowed`) would have been made.

    `params`: what the action was given.
    """

    id: UUID
    step: str
    action: str
    connection: str
    target: str | None
    params: dict[str, Json]
    state: str
    calls: int
    error: str | None
    reference: dict[str, Json] | None
    intended_at: datetime
    made_at: datetime | None


class RunDetail(RunOut):
    """A run, or a branch of one, with everything that happened in it.

    `events` are those it sees beside its own. `branches` are the failed ones and those under way,
    the first of them; `GET /runs/{id}/branches` lists all. A branch has a `path`, and a `parent`
    whose step it carries on; `root_id` is the run it belongs to.
    """

    version: int
    description: str
    event: EventOut
    events: list[EventRef]
    steps: list[StepOut]
    wait: WaitOut | None
    effects: list[EffectOut]
    output: Json = None
    path: str | None
    item: Json = None
    parent: RunRef | None
    root_id: UUID
    called_by: CallRef | None
    calls: list[CallRef]
    spreads: list[SpreadOut]
    branches: list[BranchOut]


class StepDecision(BaseModel):
    """What a person decides on a step that asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["approve", "reject"]
    note: str | None = Field(default=None, max_length=2000)


class Settlement(BaseModel):
    """What a person found out about a step in doubt.

    `output`: what later steps read of an effect that was made, by the names of the action's
    outputs. What is not given is null.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    took_effect: StrictBool
    output: dict[str, Json] | None = None


class AlertNote(BaseModel):
    """What is kept beside an alert that somebody takes on or resolves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: str | None = Field(default=None, max_length=2000)


class AlertOut(Answer):
    """An alert."""

    id: UUID
    key: str
    state: AlertState
    severity: str
    title: str
    details: dict[str, Json]
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    changes: int
    event_id: UUID | None
    run_id: UUID | None


class RejectionOut(Answer):
    """A refused request in a list. `count`: how many like it were refused.

    `reason` and `detail` are what the door said, `cause` and `diagnosis` what was found out
    afterwards (null: not looked into yet). `address` is the name it was sent to where that was no
    source's. `complete`: nothing was cut, so that it can be verified again; once it has proven
    authentic, `delivery_id` is the delivery that it is.
    """

    id: UUID
    source: str
    received_at: datetime
    reason: str
    detail: str
    remote: str
    address: str | None
    body_bytes: int
    count: int
    complete: bool
    cause: str | None
    diagnosis: str | None
    delivery_id: UUID | None
    accepted_at: datetime | None


class RejectionDetail(RejectionOut):
    """A refused request. The body may have been cut; `body_bytes` is its true size."""

    headers: list[tuple[str, str]]
    body: Body


class FailuresOut(Answer):
    """How much has failed and waits for somebody.

    `failed_runs` began in the last 24 hours. Everything else is counted however old it is.
    `unusable_workflows` are enabled and start no run, because this version cannot read their
    documents.
    """

    dead_deliveries: int
    malformed_deliveries: int
    unconfirmed_deliveries: int
    failed_runs: int
    effects_in_doubt: int
    open_gaps: int
    failing_polls: int
    open_alerts: int
    unusable_workflows: list[str]


class SourceOut(Answer):
    """A receiving address. Secrets are never shown."""

    name: str
    vendor: str
    url: str
    options: dict[str, Any]
    limits: dict[str, Any]
    connection: str | None
    reconcile: dict[str, Any] | None
    enabled: bool
    from_file: bool
    updated_at: datetime


class ConnectionOut(Answer):
    """An account at a vendor. Credentials are never shown."""

    name: str
    vendor: str
    base_url: str | None
    options: dict[str, Any]
    from_file: bool
    updated_at: datetime


class PollOut(Answer):
    """A question asked of a vendor again and again."""

    name: str
    connection: str
    poll: str
    every_seconds: float
    options: dict[str, Any]
    due_at: datetime
    asked_at: datetime | None
    failures: int
    error: str | None
    enabled: bool
    from_file: bool
    updated_at: datetime


class WorkflowOut(Answer):
    """A workflow by name and its current version.

    `mode`: in `shadow` effects are only recorded, because the document or the installation says so.
    """

    name: str
    description: str
    enabled: bool
    mode: Literal["live", "shadow"]
    version: int
    from_file: bool
    updated_at: datetime


class WorkflowDetail(WorkflowOut):
    """A workflow with the document of its current version."""

    document: dict[str, Any]
    vars: dict[str, Any]
    source_text: str
