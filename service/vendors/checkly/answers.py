"""Answers of Checkly's API (vendors.md §2.3 and §2.4): the fields we read, and all others kept.

Names come as `startedAt` and as `created_at`, in one and the same object; both forms of every name
are read.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, AliasGenerator, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from service.vendors.checkly.payloads import Milliseconds
from service.vendors.reading import (
    Flag,
    Object,
    Payload,
    Text,
    Texts,
    Time,
    Whole,
    as_list,
)


def _objects(value: object) -> list[dict[str, object]]:
    return [item for item in as_list(value) if isinstance(item, dict)]


RUNNING, FAILED, CANCELLED, PASSED = "running", "failed", "cancelled", "passed"
SESSION_ENDS = frozenset({"FAILED", "PASSED", "CANCELLED"})
CHECK_SESSION_ENDS = frozenset({"FAILED", "PASSED", "DEGRADED", "TIMED_OUT", "CANCELLED"})
SCHEDULING_ENDS = frozenset({"SUCCEEDED", "FAILED"})


class ChecklyAnswer(Payload):
    """Base of the answers."""

    model_config = ConfigDict(
        extra="allow",
        alias_generator=AliasGenerator(
            validation_alias=lambda name: AliasChoices(to_camel(name), name)
        ),
    )


# --- test sessions --------------------------------------------------------------------------------


class SessionEntry(ChecklyAnswer):
    """A test session as the list has it: without a status of its own."""

    id: Text = None
    name: Text = None
    provider: Text = None
    project_id: Text = None
    region: Text = None
    private_location_id: Text = None
    started_at: Time = None
    stopped_at: Time = None
    created_at: Time = None
    updated_at: Time = None
    running: Texts = ()
    passed: Texts = ()
    failed: Texts = ()
    cancelled: Texts = ()
    invoker: Object = Field(default_factory=dict)
    repo_url: Text = None
    commit_id: Text = None
    commit_owner: Text = None
    commit_message: Text = None
    branch_name: Text = None
    environment: Text = None


class SessionResult(ChecklyAnswer):
    """What one check gave in a test session or a check session."""

    result_id: Text = Field(
        default=None,
        validation_alias=AliasChoices("testSessionResultId", "checkSessionResultId", "id"),
    )
    result_link: Text = Field(
        default=None,
        validation_alias=AliasChoices("testSessionResultLink", "checkSessionResultLink", "link"),
    )
    check_id: Text = None
    check_type: Text = None
    name: Text = None
    status: Text = None
    has_errors: Flag = None
    has_failures: Flag = None
    is_degraded: Flag = None
    aborted: Flag = None
    run_location: Text = None
    error_group_ids: Texts = ()

    @property
    def is_failing(self) -> bool:
        """Whether the check failed or broke."""
        return bool(self.has_errors or self.has_failures) or self.status == "FAILED"


Results = Annotated[tuple[SessionResult, ...], BeforeValidator(_objects)]


class SessionDetail(ChecklyAnswer):
    """One test session with the results of its checks."""

    session_id: Text = Field(
        default=None, validation_alias=AliasChoices("testSessionId", "id", "session_id")
    )
    link: Text = Field(default=None, validation_alias=AliasChoices("testSessionLink", "link"))
    name: Text = None
    status: Text = None
    error_group_ids: Texts = ()
    started_at: Time = None
    stopped_at: Time = None
    time_elapsed: Milliseconds = None
    metadata: Object = Field(default_factory=dict)
    results: Results = ()

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.status in SESSION_ENDS


class Scheduling(ChecklyAnswer):
    """A test session that is being scheduled."""

    scheduling_id: Text = Field(
        default=None, validation_alias=AliasChoices("schedulingId", "id", "scheduling_id")
    )
    status: Text = None
    session_id: Text = Field(
        default=None, validation_alias=AliasChoices("testSessionId", "session_id")
    )
    error: Text = Field(default=None, validation_alias=AliasChoices("error", "errorCode"))

    @property
    def is_terminal(self) -> bool:
        """Whether the scheduling has ended, well or not."""
        return self.status in SCHEDULING_ENDS


# --- checks ---------------------------------------------------------------------------------------


class CheckSession(ChecklyAnswer):
    """One check that was run now."""

    session_id: Text = Field(
        default=None, validation_alias=AliasChoices("checkSessionId", "id", "session_id")
    )
    link: Text = Field(default=None, validation_alias=AliasChoices("checkSessionLink", "link"))
    check_id: Text = None
    check_type: Text = None
    name: Text = None
    status: Text = None
    error_group_ids: Texts = ()
    started_at: Time = None
    stopped_at: Time = None
    results: Results = ()

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended. `PROGRESS_FAILED` and `PROGRESS_DEGRADED` have not."""
        return self.status in CHECK_SESSION_ENDS


class CheckStatus(ChecklyAnswer):
    """The present state of one check."""

    check_id: Text = None
    name: Text = None
    has_failures: Flag = None
    has_errors: Flag = None
    is_degraded: Flag = None
    ssl_days_remaining: Whole = None
    last_run_location: Text = None
    last_check_run_id: Text = None
    updated_at: Time = None

    @property
    def status(self) -> str:
        """The state in our words; `unknown` when the vendor says nothing of it."""
        flags = (self.has_failures, self.has_errors, self.is_degraded)
        if all(flag is None for flag in flags):
            return "unknown"
        if self.has_failures or self.has_errors:
            return "failed"
        return "degraded" if self.is_degraded else "passed"


class CheckResult(CheckStatus):
    """One result of a check; `result_type` is `FINAL` or `ATTEMPT`."""

    id: Text = None
    result_type: Text = None
    run_location: Text = None
    response_time: Milliseconds = None
    attempts: Whole = None
    started_at: Time = None
    stopped_at: Time = None
    created_at: Time = None
    error_group_ids: Texts = ()


# --- alerts ---------------------------------------------------------------------------------------


class AlertNotification(ChecklyAnswer):
    """One delivery of an alert to a channel, in the vendor's own log."""

    id: Text = None
    status: Text = None
    alert_channel_id: Text = None
    check_id: Text = None
    check_alert_id: Text = None
    created_at: Time = None


class AlertRow(ChecklyAnswer):
    """One alert as the list has it; what it says is read by the paths of the options."""

    id: Text = None


class AlertChannel(ChecklyAnswer):
    """One alert channel. `config` of a webhook has its url, method, template and secret."""

    id: Text = None
    type: Text = None
    config: Object = Field(default_factory=dict)
    send_recovery: Flag = None
    send_failure: Flag = None
    send_degraded: Flag = None
    ssl_expiry: Flag = None
    ssl_expiry_threshold: Whole = None


# --- errors and their analysis --------------------------------------------------------------------


class ErrorGroup(ChecklyAnswer):
    """Errors of one check, or of the test sessions of one project, that are alike."""

    id: Text = None
    check_id: Text = None
    project_id: Text = None
    environments: Texts = ()
    error_hash: Text = None
    raw_error_message: Text = None
    cleaned_error_message: Text = None
    first_seen: Time = None
    last_seen: Time = None
    archived_until_next_event: Flag = None
    archive_for_ever: Flag = Field(
        default=None,
        validation_alias=AliasChoices("archiveForEver", "archivedForEver", "archive_for_ever"),
    )

    @property
    def is_archived(self) -> bool:
        """Whether somebody has put it away."""
        return bool(self.archived_until_next_event or self.archive_for_ever)


class Analysis(ChecklyAnswer):
    """What the vendor takes for the cause of an error."""

    classification: Text = None
    root_cause: Text = None
    user_impact: Text = None
    code_fix: Text = None
    evidence: object = None
    reference_links: object = None


class AnalysisStarted(ChecklyAnswer):
    """An analysis that was asked for."""

    id: Text = None


class AnalysisAnswer(ChecklyAnswer):
    """An analysis that is ready."""

    id: Text = None
    analysis: Analysis = Field(default_factory=Analysis)
