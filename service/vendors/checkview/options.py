"""Options of a CheckView source and connection: the places of what the vendor does not publish."""

from __future__ import annotations

import string
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from schemas.config import Duration
from service.signatures import HeaderName
from service.vendors.base import Options, PerMinute

Outcome = Literal["queued", "running", "passed", "failed", "error", "cancelled"]
"""The statuses of a test run in our words (vendors.md §3.2 and §10; the vendor's are assumed)."""


RunEvent = Literal[
    "test_run.started",
    "test_run.passed",
    "test_run.failed",
    "test_run.errored",
    "test_run.cancelled",
]


class CheckViewOptions(Options):
    """How CheckView's webhooks arrive. The defaults are assumptions.

    CheckView signs nothing: the source is known by its path token. The paths lead into the body,
    where each thing is read from the first place that has it.
    """

    header: HeaderName | None = Field(
        default=None,
        min_length=1,
        description="A header that must carry the source's secret as it is; none demands no "
        "secret.",
    )
    event_paths: tuple[str, ...] = Field(
        default=("event", "event_type", "eventType", "type"),
        description="Where the body names its event.",
    )
    run_paths: tuple[str, ...] = Field(
        default=("test_run", "testRun"), description="Where the test run is."
    )
    flow_paths: tuple[str, ...] = Field(
        default=("test_flow", "testFlow"), description="Where the test flow is."
    )
    website_paths: tuple[str, ...] = Field(
        default=("website",), description="Where the website is."
    )
    run_id_paths: tuple[str, ...] = Field(
        default=(
            "test_run.id",
            "testRun.id",
            "test_run_id",
            "testRunId",
            "run_id",
            "runId",
        ),
        description="Where the id of the test run is.",
    )
    flow_id_paths: tuple[str, ...] = Field(
        default=(
            "test_flow.id",
            "testFlow.id",
            "test_flow_id",
            "testFlowId",
            "flow_id",
            "flowId",
        ),
        description="Where the id of the test flow is.",
    )
    status_paths: tuple[str, ...] = Field(
        default=("test_run.status", "testRun.status", "status"),
        description="Where the status of the run is.",
    )
    events: dict[str, RunEvent] = Field(
        default_factory=dict,
        description="More names of events and what they mean, such as "
        '{"flow.broke": "test_run.failed"}.',
    )
    statuses: dict[str, Outcome] = Field(
        default_factory=dict,
        description='More names of statuses and what they mean, such as {"ok": "passed"}.',
    )
    digest_window_s: int = Field(
        default=600,
        ge=0,
        description="For how many seconds a body that names no run is known by its digest (0: for "
        "ever): two like it may tell of two runs.",
    )
    ask_again: Duration = Field(
        default=timedelta(seconds=30),
        description="When the truth is asked again of a run that has not ended.",
    )


class CheckViewCredentials(BaseModel):
    """An access token, `cvpat_…`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_token: SecretStr = Field(
        min_length=1, description="An access token (cvpat_…) of the organisation."
    )


def _checked_path(template: str) -> str:
    """Give the template. Raises ValueError for one that is no path."""
    try:
        fields = [name for _, name, *_ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        message = f"{template!r} is no path template: {error}"
        raise ValueError(message) from error
    if not template.startswith("/") or "?" in template or set(fields) - {"id"}:
        message = f"{template!r} must begin with / and have no placeholder but {{id}}"
        raise ValueError(message)
    return template


def _checked_path_of_one(template: str) -> str:
    if _checked_path(template).count("{id}") != 1:
        message = f"{template!r} must have {{id}} once"
        raise ValueError(message)
    return template


ListPath = Annotated[str, AfterValidator(_checked_path)]
OnePath = Annotated[str, AfterValidator(_checked_path_of_one)]


class CheckViewPaths(Options):
    """Where each call is, below `base_url`. Only that of one test flow is published."""

    websites: ListPath = Field(default="/api/v1/websites", description="The websites.")
    test_flows: ListPath = Field(default="/api/v1/test-flows", description="The test flows.")
    test_flow: OnePath = Field(default="/api/v1/test-flows/{id}", description="One test flow.")
    run_test_flow: OnePath = Field(
        default="/api/v1/test-flows/{id}/run", description="Starts a run of a flow."
    )
    test_runs: ListPath = Field(default="/api/v1/test-runs", description="The test runs.")
    test_run: OnePath = Field(default="/api/v1/test-runs/{id}", description="One test run.")
    ux_audits: ListPath = Field(default="/api/v1/ux-audits", description="The UX audits.")
    create_ux_audit: ListPath = Field(default="/api/v1/ux-audits", description="Starts a UX audit.")
    health: ListPath = Field(default="/health", description="How the vendor is.")
    health_ready: ListPath = Field(
        default="/health/ready", description="Whether the vendor is ready."
    )
    health_live: ListPath = Field(default="/health/live", description="Whether the vendor lives.")


class CheckViewConnectionOptions(Options):
    """Options of a connection."""

    per_minute: PerMinute = Field(
        default=60,
        description="Calls a minute: 60 on paid plans, 10 without a subscription. The limit is the "
        "organisation's; with other users of its API set it lower.",
    )
    page_size: int = Field(
        default=100,
        ge=1,
        le=1000,
        description="How many entries of a list are asked for at once; the vendor's own is 20 and "
        "its greatest is not published.",
    )
    key_lasts: Duration = Field(
        default=timedelta(minutes=60),
        description="How long the vendor knows an idempotency key.",
    )
    paths: CheckViewPaths = Field(
        default=CheckViewPaths(), description="Where each call is, below the base address."
    )
    flow_parameter: str = Field(
        default="test_flow_id",
        min_length=1,
        description="The parameter that narrows the list of runs to a flow.",
    )
    status_parameter: str = Field(
        default="status",
        min_length=1,
        description="The parameter that narrows the list of runs to a status.",
    )
    website_member: str = Field(
        default="website_id",
        min_length=1,
        description="The member that names the website of a new audit.",
    )
    url_member: str = Field(
        default="url", min_length=1, description="The member that names the address to audit."
    )
    wrappers: tuple[str, ...] = Field(
        default=("data",), description="The members in which an answer may be wrapped."
    )
    statuses: dict[str, Outcome] = Field(
        default_factory=dict,
        description='More names of statuses and what they mean, such as {"ok": "passed"}.',
    )
    unfinished_audits: tuple[str, ...] = Field(
        default=("queued", "pending", "running", "processing", "in_progress"),
        description="Statuses of UX audits that go on, in small letters.",
    )
