"""What we read of GitHub's bodies: a few members of each (vendors.md §6.1), all optional."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from service.vendors.reading import Payload, Text, Time, Whole, as_list, as_mapping


def _as_payload(value: object) -> dict[str, object]:
    return as_mapping(value)


def _as_payloads(value: object) -> list[dict[str, object]]:
    return [as_mapping(item) for item in as_list(value)]


def _as_flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


Flag = Annotated[bool | None, BeforeValidator(_as_flag)]


class Account(Payload):
    """A user, a bot or an organisation."""

    login: Text = None


AnAccount = Annotated[Account, BeforeValidator(_as_payload)]


class Repository(Payload):
    """A repository."""

    full_name: Text = None
    html_url: Text = None


class Side(Payload):
    """One side of a pull request."""

    ref: Text = None
    sha: Text = None


ASide = Annotated[Side, BeforeValidator(_as_payload)]


class PullRequest(Payload):
    """A pull request; inside a workflow run only its number and sides."""

    number: Whole = None
    title: Text = None
    state: Text = None
    html_url: Text = None
    draft: Flag = None
    merged: Flag = None
    merge_commit_sha: Text = None
    head: ASide = Side()
    base: ASide = Side()
    user: AnAccount = Account()
    updated_at: Time = None


PullRequests = Annotated[tuple[PullRequest, ...], BeforeValidator(_as_payloads)]


class WorkflowRun(Payload):
    """A run of a GitHub Actions workflow. `pull_requests` is empty for forks."""

    id: Whole = None
    name: Text = None
    head_branch: Text = None
    head_sha: Text = None
    event: Text = None
    status: Text = None
    conclusion: Text = None
    html_url: Text = None
    run_attempt: Whole = None
    pull_requests: PullRequests = ()
    updated_at: Time = None


class CheckSuite(Payload):
    """A check suite."""

    id: Whole = None
    head_branch: Text = None
    head_sha: Text = None
    status: Text = None
    conclusion: Text = None
    url: Text = None
    pull_requests: PullRequests = ()
    updated_at: Time = None


class CheckRun(Payload):
    """A check run."""

    id: Whole = None
    name: Text = None
    head_sha: Text = None
    status: Text = None
    conclusion: Text = None
    html_url: Text = None
    external_id: Text = None
    pull_requests: PullRequests = ()
    check_suite: Annotated[CheckSuite, BeforeValidator(_as_payload)] = CheckSuite()
    completed_at: Time = None
    started_at: Time = None


class RequestedAction(Payload):
    """The button that a person pressed on a check run."""

    identifier: Text = None


class Issue(Payload):
    """An issue, or the issue side of a pull request (then `pull_request` is there)."""

    number: Whole = None
    title: Text = None
    state: Text = None
    html_url: Text = None
    pull_request: Annotated[dict[str, object] | None, BeforeValidator(_as_payload)] = None
    updated_at: Time = None


class Comment(Payload):
    """A comment."""

    id: Whole = None
    body: Text = None
    html_url: Text = None
    user: AnAccount = Account()
    updated_at: Time = None


class Deployment(Payload):
    """A deployment."""

    id: Whole = None
    ref: Text = None
    sha: Text = None
    environment: Text = None
    updated_at: Time = None


class DeploymentStatus(Payload):
    """One status of a deployment."""

    state: Text = None
    environment: Text = None
    environment_url: Text = None
    target_url: Text = None
    log_url: Text = None
    updated_at: Time = None


class Commit(Payload):
    """A commit of a push."""

    timestamp: Time = None


class Body(Payload):
    """The members of any delivery that we read; which are there depends on the event."""

    action: Text = None
    number: Whole = None
    ref: Text = None
    before: Text = None
    after: Text = None
    compare: Text = None
    sha: Text = None
    state: Text = None
    context: Text = None
    target_url: Text = None
    updated_at: Time = None
    repository: Annotated[Repository, BeforeValidator(_as_payload)] = Repository()
    sender: AnAccount = Account()
    pull_request: Annotated[PullRequest, BeforeValidator(_as_payload)] = PullRequest()
    workflow_run: Annotated[WorkflowRun, BeforeValidator(_as_payload)] = WorkflowRun()
    check_run: Annotated[CheckRun, BeforeValidator(_as_payload)] = CheckRun()
    check_suite: Annotated[CheckSuite, BeforeValidator(_as_payload)] = CheckSuite()
    requested_action: Annotated[RequestedAction, BeforeValidator(_as_payload)] = Field(
        default=RequestedAction()
    )
    issue: Annotated[Issue, BeforeValidator(_as_payload)] = Issue()
    comment: Annotated[Comment, BeforeValidator(_as_payload)] = Comment()
    deployment: Annotated[Deployment, BeforeValidator(_as_payload)] = Deployment()
    deployment_status: Annotated[DeploymentStatus, BeforeValidator(_as_payload)] = (
        DeploymentStatus()
    )
    head_commit: Annotated[Commit, BeforeValidator(_as_payload)] = Commit()
