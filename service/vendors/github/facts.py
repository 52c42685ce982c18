"""The facts of GitHub's events: few, flat, and the same names for the same things everywhere.

How they are read from the bodies stands in `readers.py`.
"""

from __future__ import annotations

from schemas.events import Facts


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


class ReviewFacts(PullRequestFacts):
    """Facts of `pull_request_review.*`; `verdict` is what the review came to."""

    review_id: int | None = None
    reviewer: str | None = None
    verdict: str | None = None
    body: str | None = None


class ReviewCommentFacts(PullRequestFacts):
    """Facts of `pull_request_review_comment.*`: a comment on a line of a pull request."""

    comment_id: int | None = None
    commenter: str | None = None
    body: str | None = None
    path: str | None = None
    line: int | None = None


class WorkflowRunFacts(RepositoryFacts):
    """Facts of `workflow_run.*`."""

    run_id: int | None = None
    name: str | None = None
    title: str | None = None
    trigger: str | None = None
    status: str | None = None
    conclusion: str | None = None
    attempt: int | None = None
    run_number: int | None = None
    workflow_id: int | None = None
    path: str | None = None
    actor: str | None = None


class WorkflowJobFacts(RepositoryFacts):
    """Facts of `workflow_job.*`."""

    job_id: int | None = None
    run_id: int | None = None
    name: str | None = None
    workflow: str | None = None
    status: str | None = None
    conclusion: str | None = None
    attempt: int | None = None
    runner: str | None = None


class WorkflowDispatchFacts(RepositoryFacts):
    """Facts of `workflow_dispatch`: a workflow was started by hand."""

    workflow: str | None = None
    ref: str | None = None


class CheckRunFacts(RepositoryFacts):
    """Facts of `check_run.*` and `check_suite.*`; `button` is the identifier of the one pressed."""

    check_id: int | None = None
    suite_id: int | None = None
    name: str | None = None
    app: str | None = None
    status: str | None = None
    conclusion: str | None = None
    title: str | None = None
    summary: str | None = None
    details_url: str | None = None
    external_id: str | None = None
    button: str | None = None


class IssueFacts(RepositoryFacts):
    """Facts of `issues.*` and `discussion.*`."""

    issue_number: int | None = None
    title: str | None = None
    author: str | None = None
    state: str | None = None
    state_reason: str | None = None
    labels: tuple[str, ...] = ()


class CommentFacts(RepositoryFacts):
    """Facts of comments; `pr_number` only when the issue is a pull request."""

    issue_number: int | None = None
    title: str | None = None
    comment_id: int | None = None
    author: str | None = None
    body: str | None = None


class DeploymentFacts(RepositoryFacts):
    """Facts of `deployment_status.*` and `deployment.*`; `url` is the deployed site's."""

    deployment_id: int | None = None
    environment: str | None = None
    state: str | None = None
    log_url: str | None = None
    description: str | None = None
    creator: str | None = None
    task: str | None = None


class PushFacts(RepositoryFacts):
    """Facts of `push`, `create` and `delete`; `commit_sha` is what the ref points to now.

    `branch` or `tag` is what was pushed, `commits` how many commits came with it.
    """

    ref: str | None = None
    before: str | None = None
    tag: str | None = None
    created: bool | None = None
    deleted: bool | None = None
    forced: bool | None = None
    commits: int | None = None
    message: str | None = None
    author: str | None = None


class StatusFacts(RepositoryFacts):
    """Facts of `status`: a commit status of another system."""

    state: str | None = None
    context: str | None = None
    description: str | None = None


class ReleaseFacts(RepositoryFacts):
    """Facts of `release.*`; `branch` is what the release is made from."""

    release_id: int | None = None
    tag: str | None = None
    name: str | None = None
    author: str | None = None
    draft: bool | None = None
    prerelease: bool | None = None


class SecurityAlertFacts(RepositoryFacts):
    """Facts of `dependabot_alert.*`, `code_scanning_alert.*` and `secret_scanning_alert.*`."""

    alert_number: int | None = None
    state: str | None = None
    severity: str | None = None
    title: str | None = None
