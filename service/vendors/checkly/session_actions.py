"""What workflows may ask about test sessions: start one, where it stands, stop it."""

from __future__ import annotations

from pydantic import Field

from schemas.events import Json
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checkly.answers import SessionDetail
from service.vendors.checkly.check_actions import (
    WAIT,
    CancelledOutputs,
    TargetParams,
    Text,
    groups_of,
    target_of,
)
from service.vendors.checkly.client import client_of
from service.vendors.checkly.session_calls import (
    EnvironmentVariable,
    SessionMetadata,
    SessionOrder,
)

STATUSES = {
    "RUNNING": "running",
    "FAILED": "failed",
    "PASSED": "passed",
    "CANCELLED": "cancelled",
}


class TriggerSessionParams(TargetParams):
    """A test session to be started: chosen checks, run against what was deployed."""

    name: Text | None = Field(default=None, description="What the session is called at Checkly.")
    run_location: Text | None = Field(
        default=None, description="Where the checks run from; none is Checkly's choice."
    )
    allow_deactivated: bool | None = Field(
        default=None, description="Whether deactivated checks are run too."
    )
    environment_variables: dict[str, str] = Field(
        default_factory=dict, description="Variables that the checks see, by name."
    )
    retry_strategy: dict[str, Json] | None = Field(
        default=None, description="How failing checks are tried again, in Checkly's form."
    )
    refresh_cache: bool | None = Field(
        default=None, description="Whether to install the checks' dependencies anew."
    )
    environment: Text | None = Field(default=None, description="What was deployed to.")
    repo_url: Text | None = Field(default=None, description="The address of the repository.")
    commit_sha: Text | None = Field(default=None, description="The commit that was deployed.")
    commit_owner: Text | None = Field(default=None, description="Who made the commit.")
    commit_message: Text | None = Field(default=None, description="The commit's message.")
    branch: Text | None = Field(default=None, description="The branch of the commit.")


class TriggerSessionOutputs(Outputs):
    """The session that was started."""

    session_id: str = Field(description="The id of the session, for checkly.test_session.")
    url: str | None = Field(description="Where the session is shown.")


def trigger_test_session(context: CallContext, params: TriggerSessionParams) -> Done:
    """Start a test session."""
    metadata = SessionMetadata(
        environment=params.environment,
        repo_url=params.repo_url,
        commit_id=params.commit_sha,
        commit_owner=params.commit_owner,
        commit_message=params.commit_message,
        branch_name=params.branch,
    )
    variables = tuple(
        EnvironmentVariable(key=key, value=value)
        for key, value in params.environment_variables.items()
    )
    order = SessionOrder(
        name=params.name,
        run_location=params.run_location,
        target=target_of(params, allow_deactivated=params.allow_deactivated),
        environment_variables=variables or None,
        retry_strategy=params.retry_strategy,
        refresh_cache=params.refresh_cache,
        metadata=metadata if metadata.body() else None,
    )
    told = client_of(context).sessions.trigger(order)
    outputs = TriggerSessionOutputs(session_id=told.session_id or "", url=told.link)
    return Done(outputs, {"session_id": told.session_id})


class TestSessionParams(Params):
    """Which test session."""

    __test__ = False  # the name begins with Test; pytest must not collect it

    session_id: Text = Field(
        description="The id that checkly.trigger_test_session gave, or the subject of an event."
    )
    wait_s: int | None = WAIT


class SessionResultOutputs(Outputs):
    """What one check gave."""

    result_id: str | None = Field(description="The id of the result.")
    check_id: str | None = Field(description="The id of the check.")
    status: str | None = Field(description="Checkly's own status of the result.")
    failing: bool = Field(description="Whether the check failed or broke.")
    url: str | None = Field(description="Where the result is shown.")
    error_group_ids: tuple[str, ...] = Field(description="The groups its errors belong to.")


class TestSessionOutputs(Outputs):
    """Where a test session stands."""

    __test__ = False  # the name begins with Test; pytest must not collect it

    session_id: str = Field(description="The id of the session.")
    name: str | None = Field(description="What the session is called.")
    status: str = Field(description="One of running, passed, failed, cancelled and unknown.")
    terminal: bool = Field(description="Whether it has ended.")
    succeeded: bool = Field(description="Whether it ended and passed.")
    url: str | None = Field(description="Where the session is shown.")
    error_group_ids: tuple[str, ...] = Field(
        description="The groups its errors belong to, for checkly.analyse with kind test_session."
    )
    results: tuple[SessionResultOutputs, ...] = Field(description="What its checks gave.")
    failing: int = Field(description="How many of its checks failed or broke.")


def test_session(context: CallContext, params: TestSessionParams) -> Done:
    """Give where a test session stands."""
    calls = client_of(context).sessions
    told: SessionDetail | None = None
    if params.wait_s is not None:
        told = calls.completion(params.session_id, max_wait_s=params.wait_s)
    told = told or calls.get(params.session_id)
    results = tuple(
        SessionResultOutputs(
            result_id=result.result_id,
            check_id=result.check_id,
            status=result.status,
            failing=result.is_failing,
            url=result.result_link,
            error_group_ids=result.error_group_ids,
        )
        for result in told.results
    )
    return Done(
        TestSessionOutputs(
            session_id=told.session_id or params.session_id,
            name=told.name,
            status=STATUSES.get(told.status or "", "unknown"),
            terminal=told.is_terminal,
            succeeded=told.status == "PASSED",
            url=told.link,
            error_group_ids=groups_of(told.error_group_ids, told.results),
            results=results,
            failing=sum(result.failing for result in results),
        ),
        changed=False,
    )


class CancelSessionParams(Params):
    """Which test session."""

    session_id: Text = Field(description="The id that checkly.trigger_test_session gave.")


def cancel_test_session(context: CallContext, params: CancelSessionParams) -> Done:
    """Stop a test session."""
    client_of(context).sessions.cancel(params.session_id)
    outputs = CancelledOutputs(session_id=params.session_id)
    return Done(outputs, {"session_id": params.session_id})
