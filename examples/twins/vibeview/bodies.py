"""Bodies that VibeView's calls and this twin's levers take (reference 1.1, 1.3, 1.5)."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,50}$")]
Ended = Literal["passed", "failed", "cancelled", "error"]
Visual = Literal["ok", "warn", "fail"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _RunBody(_Body):
    commit_sha: str | None = None
    model: str | None = None
    provider: str | None = None
    mode: Literal["hybrid", "ai", "replay"] = "hybrid"
    device_category: Literal["phone", "tablet", "tv"] | None = None
    device_id: str | None = None
    metadata: dict[str, object] = Field(default_factory=dict)
    build_id: int | None = None

    @model_validator(mode="after")
    def _one_device(self) -> Self:
        if self.device_category is not None and self.device_id is not None:
            raise ValueError("give either device_category or device_id")
        return self


class RunSuite(_RunBody):
    """Body of a suite run."""

    suite_id: str


class RunTest(_RunBody):
    """Body of a test run."""

    test_id: str


class RunSuites(_RunBody):
    """Body of a run of all suites with these tags."""

    tags: list[Tag] = Field(min_length=1, max_length=20)
    match: Literal["any", "all"] = "any"


class Subscriptions(_Body):
    """The whole set of event types of a webhook."""

    event_types: list[str]


class TopUp(_Body):
    """Body of a top-up: a bundle or an amount in whole USD."""

    bundle_key: str | None = None
    amount_usd: int | None = None


class _AIRun(_Body):
    session_id: str
    model: str | None = None
    provider: str | None = None
    mode: Literal["hybrid", "ai", "replay"] = "hybrid"
    fuzzy_match: bool = False
    build_id: int | None = None


class RunAITest(_AIRun):
    """Body of a test run by the AI."""

    test_case_public_id: str | None = None
    test_case_id: int | None = None


class RunAISuite(_AIRun):
    """Body of a suite run by the AI."""

    suite_public_id: str | None = None
    suite_id: int | None = None


class SuiteChange(_Body):
    """What of a suite is changed."""

    name: str | None = None
    description: str | None = None
    reset_strategy: Literal["relaunch", "clear_data", "reinstall"] | None = None
    context: str | None = None
    variables: dict[str, object] | None = None
    visual_regression_warn_pct: int | None = Field(default=None, ge=0, le=100)
    visual_regression_fail_pct: int | None = Field(default=None, ge=0, le=100)
    tags: list[Tag] | None = None

    def thresholds(self) -> set[str]:
        """The thresholds that are to be changed."""
        return {name for name in self.model_fields_set if name.startswith("visual_")}


class CaseChange(_Body):
    """What of a case is changed."""

    name: str | None = None
    steps: list[object] | None = None
    assertions: list[object] | None = None
    context: str | None = None
    app_id: str | None = None
    sub_flow_ids: list[str] | None = None
    source_recording: object = None
    fuzzy_match: bool | None = None
    is_reusable: bool | None = None


class NewToken(_Body):
    """Body of a new API token."""

    label: str = Field(min_length=1)
    role: Literal["viewer", "developer", "admin"] = "developer"


class SessionDefaults(_Body):
    """What sessions may do."""

    allow_streaming_overage: bool


class Recording(_Body):
    """A recording a test is made from."""

    recording: list[object] = Field(min_length=1)
    app_name: str | None = None
    context: str | None = None
    model: str | None = None


class _Lever(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CaseOutcome(_Lever):
    """How one case of a run ends."""

    case_name: str
    status: Ended = "passed"
    visual_regression_status: Visual | None = None
    duration_ms: int = 4200


class RunOutcome(_Lever):
    """How a run ends; cases left out follow from the suite: the last one carries what is wrong."""

    status: Ended = "passed"
    visual_regression_status: Visual | None = None
    error_message: str | None = None
    cases: list[CaseOutcome] | None = None


class Script(_Lever):
    """What `POST /_twin/outcomes` takes: outcomes of the next runs, and the usual one."""

    runs: list[Ended | RunOutcome] = Field(default_factory=list)
    run_default: Ended | RunOutcome | None = None


class AddedSuite(_Lever):
    """What `POST /_twin/suites` takes."""

    id: str
    name: str
    tags: list[Tag] = Field(default_factory=list)
    cases: list[str] = Field(default_factory=lambda: ["Open app"], min_length=1)
    platform: str = "ios"


class BalanceChange(_Lever):
    """What `POST /_twin/balance` takes. `low_balance` given stands until it is given as null."""

    allowance_micro: int | None = Field(default=None, ge=0)
    prepaid_micro: int | None = Field(default=None, ge=0)
    plan_allowance_micro: int | None = Field(default=None, ge=0)
    plan_period_end: str | None = None
    low_balance: bool | None = None


class AddedEntry(_Lever):
    """What `POST /_twin/ledger` takes, `count` times; `apply` changes the balance as well."""

    entry_type: str = "usage_deduction"
    balance_bucket: Literal["allowance", "prepaid"] = "allowance"
    amount_micro: int
    model: str | None = None
    test_run_id: str | None = None
    is_streaming: bool = False
    created_at: str | None = None
    apply: bool = False
    count: int = Field(default=1, ge=1, le=10_000)


class Happen(_Lever):
    """What `POST /_twin/happen` takes: how many runs end, and for how many no webhook is sent.

    The events are taken in turn.
    """

    count: int = Field(default=1, ge=1, le=10_000)
    withheld: int = Field(default=0, ge=0)
    events: list[str] = Field(default_factory=lambda: ["run.failed"], min_length=1)

    @model_validator(mode="after")
    def _not_more_than_all(self) -> Self:
        if self.withheld > self.count:
            raise ValueError("withheld must not be above count")
        return self


class Audited(_Lever):
    """What `POST /_twin/audit` takes: how many things were done."""

    count: int = Field(default=1, ge=1, le=10_000)
    action: str = "suite.updated"


class SentEvent(_Lever):
    """What `POST /_twin/send` takes.

    Args:
        overrides: merged into the event's envelope, objects member by member.
        delivery_id: a new UUID when left out.
        repeat: how often the same delivery is sent, all at once.
        scheme, receiver, secret: instead of the settings.
        timestamp: Unix seconds used by the signature instead of now.
        only_subscribed: send nothing when the webhook is not subscribed to the event.
    """

    event: str
    overrides: dict[str, object] = Field(default_factory=dict)
    delivery_id: str | None = None
    repeat: int = Field(default=1, ge=1, le=1000)
    scheme: str | None = None
    receiver: str | None = None
    secret: str | None = None
    timestamp: int | None = None
    only_subscribed: bool = False
