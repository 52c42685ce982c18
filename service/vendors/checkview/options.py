"""Options of a CheckView source and connection: the places of what the vendor does not publish."""

from __future__ import annotations

import string
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from schemas.config import Duration
from service.signatures import HeaderName
from service.vendors.base import Options

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
    """How CheckView's webhooks arrive. The defaults are the assumptions of vendors.md §3.1.

    CheckView signs nothing: the source is known by its path token. With `header` a secret is
    demanded besides, which is sent as it is under that name.

    The paths lead into the body, where each thing is read from the first place that has it.
    `events` adds to the table of event names, as in `{"flow.broke": "test_run.failed"}`; `statuses`
    adds names for statuses, as in `{"ok": "passed"}`. A body that names no run is known by its
    digest for `digest_window_s` seconds (0: for ever), since two like it may tell of two runs.
    `ask_again` is when the truth is asked again of a run that has not ended.
    """

    header: HeaderName | None = Field(default=None, min_length=1)
    event_paths: tuple[str, ...] = ("event", "event_type", "eventType", "type")
    run_paths: tuple[str, ...] = ("test_run", "testRun")
    flow_paths: tuple[str, ...] = ("test_flow", "testFlow")
    website_paths: tuple[str, ...] = ("website",)
    run_id_paths: tuple[str, ...] = (
        "test_run.id",
        "testRun.id",
        "test_run_id",
        "testRunId",
        "run_id",
        "runId",
    )
    flow_id_paths: tuple[str, ...] = (
        "test_flow.id",
        "testFlow.id",
        "test_flow_id",
        "testFlowId",
        "flow_id",
        "flowId",
    )
    status_paths: tuple[str, ...] = ("test_run.status", "testRun.status", "status")
    events: dict[str, RunEvent] = Field(default_factory=dict)
    statuses: dict[str, Outcome] = Field(default_factory=dict)
    digest_window_s: int = Field(default=600, ge=0)
    ask_again: Duration = timedelta(seconds=30)


class CheckViewCredentials(BaseModel):
    """An access token, `cvpat_…`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_token: SecretStr = Field(min_length=1)


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

    websites: ListPath = "/api/v1/websites"
    test_flows: ListPath = "/api/v1/test-flows"
    test_flow: OnePath = "/api/v1/test-flows/{id}"
    run_test_flow: OnePath = "/api/v1/test-flows/{id}/run"
    test_runs: ListPath = "/api/v1/test-runs"
    test_run: OnePath = "/api/v1/test-runs/{id}"
    ux_audits: ListPath = "/api/v1/ux-audits"
    create_ux_audit: ListPath = "/api/v1/ux-audits"
    health: ListPath = "/health"
    health_ready: ListPath = "/health/ready"
    health_live: ListPath = "/health/live"


class CheckViewConnectionOptions(Options):
    """Options of a connection.

    `per_minute` is 60 on paid plans; an organisation without a subscription has 10. The limit is
    the organisation's: with other users of its API set it lower. `page_size` is what lists are
    asked by; the vendor's own is 20 and its greatest is not published. `key_lasts` is how long
    the vendor knows an idempotency key.

    `paths` are the places of the calls, `flow_parameter` and `status_parameter` what narrows the
    list of runs, `website_member` and `url_member` what names the thing an audit is for, and
    `wrappers` the members in which an answer may be wrapped. `statuses` adds names for statuses;
    `unfinished_audits` are those of UX audits that go on, in small letters.
    """

    per_minute: float = Field(default=60, gt=0)
    page_size: int = Field(default=100, ge=1, le=1000)
    key_lasts: Duration = timedelta(minutes=60)
    paths: CheckViewPaths = CheckViewPaths()
    flow_parameter: str = Field(default="test_flow_id", min_length=1)
    status_parameter: str = Field(default="status", min_length=1)
    website_member: str = Field(default="website_id", min_length=1)
    url_member: str = Field(default="url", min_length=1)
    wrappers: tuple[str, ...] = ("data",)
    statuses: dict[str, Outcome] = Field(default_factory=dict)
    unfinished_audits: tuple[str, ...] = (
        "queued",
        "pending",
        "running",
        "processing",
        "in_progress",
    )
