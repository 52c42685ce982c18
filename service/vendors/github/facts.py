"""The facts of GitHub's events: few, flat, and the same names for the same things everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

from schemas.events import Facts
from service.vendors.github.payloads import Body, PullRequest

_BRANCH_PREFIX = "refs/heads/"


class RepositoryFacts(Facts):
    """Facts of every GitHub event; None where the event has no such thing."""

    repository: str | None = None
    sender: str | None = None
    action: str | None = None
    url: str | None = None
    pr_number: int | None = None
    branch: str | None = None
    commit_sha: str | None = None


class PullRequestFacts(RepositoryFacts):
    """Facts of `pull_request.*`; `branch` and `commit_sha` are those of its head."""

    title: str | None = None
    author: str | None = None
    base_branch: str | None = None
    state: str | None = None
    draft: bool | None = None
    merged: bool | None = None
    merge_commit_sha: str | None = None


class WorkflowRunFacts(RepositoryFacts):
    """Facts of `workflow_run.*`."""

    run_id: int | None = None
    name: str | None = None
    trigger: str | None = None
    status: str | None = None
    conclusion: str | None = None
    attempt: int | None = None


class CheckRunFacts(RepositoryFacts):
    """Facts of `check_run.*` and `check_suite.*`; `button` is the identifier of the one pressed."""

    check_id: int | None = None
    name: str | None = None
    status: str | None = None
    conclusion: str | None = None
    external_id: str | None = None
    button: str | None = None


class CommentFacts(RepositoryFacts):
    """Facts of `issue_comment.*`; `pr_number` only when the issue is a pull request."""

    issue_number: int | None = None
    comment_id: int | None = None
    author: str | None = None
    body: str | None = None


class DeploymentFacts(RepositoryFacts):
    """Facts of `deployment_status.*` and `deployment.*`; `url` is the deployed site's."""

    deployment_id: int | None = None
    environment: str | None = None
    state: str | None = None
    log_url: str | None = None


class PushFacts(RepositoryFacts):
    """Facts of `push`; `commit_sha` is what the branch points to now."""

    ref: str | None = None
    before: str | None = None


class StatusFacts(RepositoryFacts):
    """Facts of `status`: a commit status of another system."""

    state: str | None = None
    context: str | None = None


Reading: TypeAlias = tuple[RepositoryFacts, str | None, datetime | None]
"""Facts, subject and time of one event."""


def read_facts(event: str, body: Body) -> Reading:
    """Give facts, subject and time of the event with this GitHub name."""
    return _READERS.get(event, _read_other)(body)


def _common(body: Body) -> dict[str, str | None]:
    return {
        "repository": body.repository.full_name,
        "sender": body.sender.login,
        "action": body.action,
    }


def _number_in(pull_requests: tuple[PullRequest, ...]) -> int | None:
    return pull_requests[0].number if pull_requests else None


def _of_repository(body: Body, number: int | None) -> str | None:
    repository = body.repository.full_name
    return f"{repository}#{number}" if repository and number is not None else repository


def _as_subject(number: int | None, body: Body) -> str | None:
    return str(number) if number is not None else body.repository.full_name


def _branch_of(ref: str | None) -> str | None:
    if ref is None or (ref.startswith("refs/") and not ref.startswith(_BRANCH_PREFIX)):
        return None
    return ref.removeprefix(_BRANCH_PREFIX)


def _read_pull_request(body: Body) -> Reading:
    it = body.pull_request
    number = it.number if it.number is not None else body.number
    facts = PullRequestFacts(
        **_common(body),
        url=it.html_url,
        pr_number=number,
        branch=it.head.ref,
        commit_sha=it.head.sha,
        title=it.title,
        author=it.user.login,
        base_branch=it.base.ref,
        state=it.state,
        draft=it.draft,
        merged=it.merged,
        merge_commit_sha=it.merge_commit_sha,
    )
    return facts, _of_repository(body, number), it.updated_at


def _read_workflow_run(body: Body) -> Reading:
    it = body.workflow_run
    facts = WorkflowRunFacts(
        **_common(body),
        url=it.html_url,
        pr_number=_number_in(it.pull_requests),
        branch=it.head_branch,
        commit_sha=it.head_sha,
        run_id=it.id,
        name=it.name,
        trigger=it.event,
        status=it.status,
        conclusion=it.conclusion,
        attempt=it.run_attempt,
    )
    return facts, _as_subject(it.id, body), it.updated_at


def _read_check_run(body: Body) -> Reading:
    it = body.check_run
    facts = CheckRunFacts(
        **_common(body),
        url=it.html_url,
        pr_number=_number_in(it.pull_requests),
        branch=it.check_suite.head_branch,
        commit_sha=it.head_sha,
        check_id=it.id,
        name=it.name,
        status=it.status,
        conclusion=it.conclusion,
        external_id=it.external_id,
        button=body.requested_action.identifier,
    )
    return facts, _as_subject(it.id, body), it.completed_at or it.started_at


def _read_check_suite(body: Body) -> Reading:
    it = body.check_suite
    facts = CheckRunFacts(
        **_common(body),
        url=it.url,
        pr_number=_number_in(it.pull_requests),
        branch=it.head_branch,
        commit_sha=it.head_sha,
        check_id=it.id,
        status=it.status,
        conclusion=it.conclusion,
    )
    return facts, _as_subject(it.id, body), it.updated_at


def _read_comment(body: Body) -> Reading:
    it, issue = body.comment, body.issue
    facts = CommentFacts(
        **_common(body),
        url=it.html_url,
        pr_number=issue.number if issue.pull_request is not None else None,
        issue_number=issue.number,
        comment_id=it.id,
        author=it.user.login,
        body=it.body,
    )
    return facts, _of_repository(body, issue.number), it.updated_at


def _read_issue(body: Body) -> Reading:
    it = body.issue
    facts = RepositoryFacts(**_common(body), url=it.html_url)
    return facts, _of_repository(body, it.number), it.updated_at


def _read_deployment(body: Body) -> Reading:
    it, status = body.deployment, body.deployment_status
    facts = DeploymentFacts(
        **_common(body),
        url=status.environment_url or status.target_url,
        branch=_branch_of(it.ref),
        commit_sha=it.sha,
        deployment_id=it.id,
        environment=status.environment or it.environment,
        state=status.state,
        log_url=status.log_url,
    )
    return facts, _as_subject(it.id, body), status.updated_at or it.updated_at


def _read_push(body: Body) -> Reading:
    facts = PushFacts(
        **_common(body),
        url=body.compare,
        branch=_branch_of(body.ref),
        commit_sha=body.after,
        ref=body.ref,
        before=body.before,
    )
    return facts, body.repository.full_name, body.head_commit.timestamp


def _read_status(body: Body) -> Reading:
    facts = StatusFacts(
        **_common(body),
        url=body.target_url,
        commit_sha=body.sha,
        state=body.state,
        context=body.context,
    )
    return facts, body.repository.full_name, body.updated_at


def _read_other(body: Body) -> Reading:
    facts = RepositoryFacts(**_common(body), url=body.repository.html_url)
    return facts, body.repository.full_name, None


_READERS: Mapping[str, Callable[[Body], Reading]] = {
    "pull_request": _read_pull_request,
    "pull_request_review": _read_pull_request,
    "pull_request_review_comment": _read_pull_request,
    "workflow_run": _read_workflow_run,
    "check_run": _read_check_run,
    "check_suite": _read_check_suite,
    "issue_comment": _read_comment,
    "issues": _read_issue,
    "deployment": _read_deployment,
    "deployment_status": _read_deployment,
    "push": _read_push,
    "status": _read_status,
}
