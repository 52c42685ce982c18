"""What workflows may ask about checks: run them now, their present state, their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checkly.answers import CheckSession, SessionResult
from service.vendors.checkly.client import client_of
from service.vendors.checkly.session_calls import Target

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
WAIT = Field(
    default=None,
    ge=1,
    le=30,
    description="Seconds to wait at Checkly for the end, while a worker waits too; none asks "
    "without waiting.",
)
CHECK_SESSION_STATUSES: Mapping[str, str] = {
    "STARTED": "running",
    "PROGRESS": "running",
    "PROGRESS_FAILED": "running",
    "PROGRESS_DEGRADED": "running",
    "FAILED": "failed",
    "TIMED_OUT": "failed",
    "DEGRADED": "degraded",
    "PASSED": "passed",
    "CANCELLED": "cancelled",
}


class TargetParams(Params):
    """Which checks."""

    check_ids: tuple[Text, ...] = Field(default=(), description="The ids of the checks.")
    match_tags: tuple[tuple[Text, ...], ...] = Field(
        default=(), description="Lists of tags; a check fits that has all tags of one list."
    )

    @model_validator(mode="after")
    def _need_one(self) -> TargetParams:
        if not self.check_ids and not self.match_tags:
            message = "give check_ids or match_tags; Checkly would take neither for every check"
            raise ValueError(message)
        return self


def target_of(params: TargetParams, *, allow_deactivated: bool | None = None) -> Target:
    """Give the checks in the vendor's words."""
    return Target(
        check_id=params.check_ids or None,
        match_tags=params.match_tags or None,
        allow_deactivated=allow_deactivated,
    )


class TriggerChecksParams(TargetParams):
    """Which checks to run now, as they are in the monitoring."""

    refresh_cache: bool | None = Field(
        default=None, description="Whether to install the checks' dependencies anew."
    )


class StartedSession(Outputs):
    """The run of one check."""

    session_id: str = Field(description="The id of the run, for checkly.check_session.")
    check_id: str | None = Field(description="The check that runs.")
    url: str | None = Field(description="Where the run is shown.")


class TriggerChecksOutputs(Outputs):
    """What was started."""

    session_id: str = Field(description="The id of the first run, for checkly.check_session.")
    sessions: tuple[StartedSession, ...] = Field(description="Every run, one a check.")


def trigger_checks(context: CallContext, params: TriggerChecksParams) -> Done:
    """Run checks now."""
    told = client_of(context).checks.trigger(target_of(params), refresh_cache=params.refresh_cache)
    sessions = tuple(
        StartedSession(session_id=one.session_id, check_id=one.check_id, url=one.link)
        for one in told
        if one.session_id is not None
    )
    first = sessions[0].session_id
    outputs = TriggerChecksOutputs(session_id=first, sessions=sessions)
    return Done(outputs, {"session_ids": [session.session_id for session in sessions]})


class CheckSessionParams(Params):
    """Which run of a check."""

    session_id: Text = Field(description="The id that checkly.trigger_checks gave.")
    wait_s: int | None = WAIT


class CheckSessionOutputs(Outputs):
    """Where the run of a check stands."""

    session_id: str = Field(description="The id of the run.")
    check_id: str | None = Field(description="The check that runs.")
    status: str = Field(
        description="One of running, passed, failed, degraded, cancelled and unknown."
    )
    terminal: bool = Field(description="Whether it has ended.")
    succeeded: bool = Field(description="Whether it ended and passed.")
    url: str | None = Field(description="Where the run is shown.")
    error_group_ids: tuple[str, ...] = Field(
        description="The groups its errors belong to, for checkly.analyse."
    )


def check_session(context: CallContext, params: CheckSessionParams) -> Done:
    """Give where the run of a check stands."""
    calls = client_of(context).checks
    session: CheckSession | None = None
    if params.wait_s is not None:
        session = calls.completion(params.session_id, max_wait_s=params.wait_s)
    session = session or calls.session(params.session_id)
    return Done(
        CheckSessionOutputs(
            session_id=session.session_id or params.session_id,
            check_id=session.check_id,
            status=CHECK_SESSION_STATUSES.get(session.status or "", "unknown"),
            terminal=session.is_terminal,
            succeeded=session.status == "PASSED",
            url=session.link,
            error_group_ids=groups_of(session.error_group_ids, session.results),
        ),
        changed=False,
    )


def groups_of(own: tuple[str, ...], results: tuple[SessionResult, ...]) -> tuple[str, ...]:
    """Give every error group once: the session's own, then those of its results."""
    found = [*own, *(group for result in results for group in result.error_group_ids)]
    return tuple(dict.fromkeys(found))


class CancelCheckSessionParams(Params):
    """Which run of a check."""

    session_id: Text = Field(description="The id that checkly.trigger_checks gave.")


class CancelledOutputs(Outputs):
    """What was stopped."""

    session_id: str = Field(description="The id of what was stopped.")


def cancel_check_session(context: CallContext, params: CancelCheckSessionParams) -> Done:
    """Stop the run of a check."""
    client_of(context).checks.cancel(params.session_id)
    outputs = CancelledOutputs(session_id=params.session_id)
    return Done(outputs, {"session_id": params.session_id})


class CheckStatusParams(Params):
    """Which check."""

    check_id: Text = Field(description="The id of the check: the subject of a check's event.")


class CheckStatusOutputs(Outputs):
    """The present state of a check."""

    check_id: str = Field(description="The id of the check.")
    name: str | None = Field(description="The name of the check.")
    status: str = Field(description="One of passed, failed, degraded and unknown.")
    failing: bool = Field(description="Whether it fails now.")
    last_result_id: str | None = Field(description="Its newest result, where Checkly names it.")


def check_status(context: CallContext, params: CheckStatusParams) -> Done:
    """Give the present state of a check."""
    told = client_of(context).checks.status(params.check_id)
    return Done(
        CheckStatusOutputs(
            check_id=told.check_id or params.check_id,
            name=told.name,
            status=told.status,
            failing=told.status == "failed",
            last_result_id=told.last_check_run_id,
        ),
        changed=False,
    )


class CheckResultParams(Params):
    """Which result."""

    check_id: Text = Field(description="The id of the check.")
    result_id: Text = Field(description="The id of the result: event.facts.result_id.")


class CheckResultOutputs(Outputs):
    """One result of a check."""

    result_id: str = Field(description="The id of the result.")
    status: str = Field(description="One of passed, failed, degraded and unknown.")
    final: bool = Field(description="False when Checkly tries the check once more.")
    location: str | None = Field(description="Where the check ran from.")
    response_time_ms: int | None = Field(description="How long it took, in milliseconds.")
    error_group_ids: tuple[str, ...] = Field(
        description="The groups its errors belong to, for checkly.analyse."
    )


def check_result(context: CallContext, params: CheckResultParams) -> Done:
    """Give one result of a check."""
    told = client_of(context).checks.result(params.check_id, params.result_id)
    return Done(
        CheckResultOutputs(
            result_id=told.id or params.result_id,
            status=told.status,
            final=told.result_type != "ATTEMPT",
            location=told.run_location,
            response_time_ms=told.response_time,
            error_group_ids=told.error_group_ids,
        ),
        changed=False,
    )
