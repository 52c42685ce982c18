"""What we read of GitHub's bodies: a few members of each (vendors.md §6.1), all optional."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from service.vendors.reading import Flag, Payload, Text, Time, Whole, as_list, as_mapping


def _as_payload(value: object) -> dict[str, object]:
    return as_mapping(value)


def _as_payloads(value: object) -> list[dict[str, object]]:
    return [as_mapping(item) for item in as_list(value)]


class Account(Payload):
    """A user, a bot or an organisation."""

    login: Text = None


AnAccount = Annotated[Account, BeforeValidator(_as_payload)]


class Named(Payload):
    """A label, a branch, a workflow, an app: something that is known by its name."""

    name: Text = None
    slug: Text = None


AName = Annotated[Named, BeforeValidator(_as_payload)]
Names = Annotated[tuple[Named, ...], BeforeValidator(_as_payloads)]


class Repository(Payload):
    """A repository."""

    full_name: Text = None
    html_url: Text = None


ARepository = Annotated[Repository, BeforeValidator(_as_payload)]


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


class Review(Payload):
    """A review of a pull request. `state`: approved, changes_requested, commented, dismissed."""

    id: Whole = None
    state: Text = None
    body: Text = None
    html_url: Text = None
    commit_id: Text = None
    user: AnAccount = Account()
    submitted_at: Time = None


class WorkflowRun(Payload):
    """A run of a GitHub Actions workflow. `pull_requests` is empty for forks."""

    id: Whole = None
    name: Text = None
    display_title: Text = None
    path: Text = None
    head_branch: Text = None
    head_sha: Text = None
    event: Text = None
    status: Text = None
    conclusion: Text = None
    html_url: Text = None
    run_number: Whole = None
    run_attempt: Whole = None
    workflow_id: Whole = None
    actor: AnAccount = Account()
    pull_requests: PullRequests = ()
    updated_at: Time = None


class WorkflowJob(Payload):
    """A job of a workflow's run."""

    id: Whole = None
    run_id: Whole = None
    run_attempt: Whole = None
    name: Text = None
    workflow_name: Text = None
    head_branch: Text = None
    head_sha: Text = None
    status: Text = None
    conclusion: Text = None
    html_url: Text = None
    runner_name: Text = None
    created_at: Time = None
    started_at: Time = None
    completed_at: Time = None


class CheckSuite(Payload):
    """A check suite."""

    id: Whole = None
    head_branch: Text = None
    head_sha: Text = None
    status: Text = None
    conclusion: Text = None
    url: Text = None
    app: AName = Named()
    pull_requests: PullRequests = ()
    updated_at: Time = None


ACheckSuite = Annotated[CheckSuite, BeforeValidator(_as_payload)]


class CheckOutput(Payload):
    """What a check run says."""

    title: Text = None
    summary: Text = None
    annotations_count: Whole = None


class CheckRun(Payload):
    """A check run."""

    id: Whole = None
    name: Text = None
    head_sha: Text = None
    status: Text = None
    conclusion: Text = None
    html_url: Text = None
    details_url: Text = None
    external_id: Text = None
    app: AName = Named()
    output: Annotated[CheckOutput, BeforeValidator(_as_payload)] = CheckOutput()
    pull_requests: PullRequests = ()
    check_suite: ACheckSuite = CheckSuite()
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
    state_reason: Text = None
    html_url: Text = None
    user: AnAccount = Account()
    labels: Names = ()
    pull_request: Annotated[dict[str, object] | None, BeforeValidator(_as_payload)] = None
    updated_at: Time = None


class Comment(Payload):
    """A comment on an issue, a commit, or a line of a pull request."""

    id: Whole = None
    body: Text = None
    html_url: Text = None
    commit_id: Text = None
    path: Text = None
    line: Whole = None
    user: AnAccount = Account()
    updated_at: Time = None


class Deployment(Payload):
    """A deployment."""

    id: Whole = None
    ref: Text = None
    sha: Text = None
    task: Text = None
    environment: Text = None
    description: Text = None
    creator: AnAccount = Account()
    updated_at: Time = None


class DeploymentStatus(Payload):
    """One status of a deployment."""

    state: Text = None
    environment: Text = None
    environment_url: Text = None
    target_url: Text = None
    log_url: Text = None
    description: Text = None
    creator: AnAccount = Account()
    updated_at: Time = None


class Commit(Payload):
    """A commit of a push."""

    message: Text = None
    author: AName = Named()
    timestamp: Time = None


class Release(Payload):
    """A release."""

    id: Whole = None
    tag_name: Text = None
    target_commitish: Text = None
    name: Text = None
    html_url: Text = None
    draft: Flag = None
    prerelease: Flag = None
    author: AnAccount = Account()
    created_at: Time = None
    published_at: Time = None


class MergeGroup(Payload):
    """A group of the merge queue."""

    head_sha: Text = None
    head_ref: Text = None
    base_ref: Text = None


class Rule(Payload):
    """What a security alert is about."""

    id: Text = None
    description: Text = None
    severity: Text = None
    security_severity_level: Text = None
    ghsa_id: Text = None
    summary: Text = None


ARule = Annotated[Rule, BeforeValidator(_as_payload)]


class Alert(Payload):
    """An alert of Dependabot, of code scanning or of secret scanning."""

    number: Whole = None
    state: Text = None
    html_url: Text = None
    rule: ARule = Rule()
    security_advisory: ARule = Rule()
    secret_type_display_name: Text = None
    secret_type: Text = None
    updated_at: Time = None
    created_at: Time = None


class Body(Payload):
    """The members of any delivery that we read; which are there depends on the event."""

    action: Text = None
    number: Whole = None
    ref: Text = None
    ref_type: Text = None
    branch: Text = None
    before: Text = None
    after: Text = None
    created: Flag = None
    deleted: Flag = None
    forced: Flag = None
    compare: Text = None
    commits: Annotated[tuple[object, ...], BeforeValidator(as_list)] = ()
    sha: Text = None
    state: Text = None
    context: Text = None
    description: Text = None
    target_url: Text = None
    workflow: object = None
    branches: Names = ()
    commit_oid: Text = None
    updated_at: Time = None
    repository: ARepository = Repository()
    organization: AnAccount = Account()
    sender: AnAccount = Account()
    pull_request: Annotated[PullRequest, BeforeValidator(_as_payload)] = PullRequest()
    review: Annotated[Review, BeforeValidator(_as_payload)] = Review()
    workflow_run: Annotated[WorkflowRun, BeforeValidator(_as_payload)] = WorkflowRun()
    workflow_job: Annotated[WorkflowJob, BeforeValidator(_as_payload)] = WorkflowJob()
    check_run: Annotated[CheckRun, BeforeValidator(_as_payload)] = CheckRun()
    check_suite: ACheckSuite = CheckSuite()
    requested_action: Annotated[RequestedAction, BeforeValidator(_as_payload)] = RequestedAction()
    issue: Annotated[Issue, BeforeValidator(_as_payload)] = Issue()
    discussion: Annotated[Issue, BeforeValidator(_as_payload)] = Issue()
    comment: Annotated[Comment, BeforeValidator(_as_payload)] = Comment()
    deployment: Annotated[Deployment, BeforeValidator(_as_payload)] = Deployment()
    deployment_status: Annotated[DeploymentStatus, BeforeValidator(_as_payload)] = (
        DeploymentStatus()
    )
    head_commit: Annotated[Commit, BeforeValidator(_as_payload)] = Commit()
    release: Annotated[Release, BeforeValidator(_as_payload)] = Release()
    merge_group: Annotated[MergeGroup, BeforeValidator(_as_payload)] = MergeGroup()
    alert: Annotated[Alert, BeforeValidator(_as_payload)] = Alert()
