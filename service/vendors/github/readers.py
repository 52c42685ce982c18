"""How facts, subject and time are read from the body of each of GitHub's events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from service.vendors.github.facts import (
    CheckRunFacts,
    CommentFacts,
    DeploymentFacts,
    IssueFacts,
    PullRequestFacts,
    PushFacts,
    ReleaseFacts,
    RepositoryFacts,
    ReviewCommentFacts,
    ReviewFacts,
    SecurityAlertFacts,
    StatusFacts,
    WorkflowDispatchFacts,
    WorkflowJobFacts,
    WorkflowRunFacts,
)
from service.vendors.github.payloads import Body, Issue, PullRequest
from service.vendors.reading import as_text

_BRANCH_PREFIX = "refs/heads/"
_TAG_PREFIX = "refs/tags/"
_NO_COMMIT = "0" * 40
"""What GitHub writes for the commit of a ref that is not there (any more)."""

Reading: TypeAlias = tuple[RepositoryFacts, str | None, datetime | None]
"""Facts, subject and time of one event."""


def read_facts(event: str, body: Body) -> Reading:
    """Give facts, subject and time of the event with this GitHub name."""
    return READERS.get(event, _read_other)(body)


def _common(body: Body) -> dict[str, Any]:
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


def _tag_of(ref: str | None) -> str | None:
    return ref.removeprefix(_TAG_PREFIX) if ref and ref.startswith(_TAG_PREFIX) else None


def _pull_request(body: Body) -> dict[str, Any]:
    it = body.pull_request
    return {
        **_common(body),
        "url": it.html_url,
        "pr_number": it.number if it.number is not None else body.number,
        "branch": it.head.ref,
        "commit_sha": it.head.sha,
        "title": it.title,
        "author": it.user.login,
        "base_branch": it.base.ref,
        "state": it.state,
        "draft": it.draft,
        "merged": it.merged,
        "merge_commit_sha": it.merge_commit_sha,
    }


def _read_pull_request(body: Body) -> Reading:
    facts = PullRequestFacts(**_pull_request(body))
    return facts, _of_repository(body, facts.pr_number), body.pull_request.updated_at


def _read_review(body: Body) -> Reading:
    it = body.review
    common = _pull_request(body)
    facts = ReviewFacts(
        **common | {"url": it.html_url or common["url"]},
        review_id=it.id,
        reviewer=it.user.login,
        # The webhook writes it small, the API in capitals.
        verdict=it.state.lower() if it.state else None,
        body=it.body,
    )
    return facts, _of_repository(body, facts.pr_number), it.submitted_at


def _read_review_comment(body: Body) -> Reading:
    it = body.comment
    common = _pull_request(body)
    facts = ReviewCommentFacts(
        **common | {"url": it.html_url or common["url"]},
        comment_id=it.id,
        commenter=it.user.login,
        body=it.body,
        path=it.path,
        line=it.line,
    )
    return facts, _of_repository(body, facts.pr_number), it.updated_at


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
        title=it.display_title,
        trigger=it.event,
        status=it.status,
        conclusion=it.conclusion,
        attempt=it.run_attempt,
        run_number=it.run_number,
        workflow_id=it.workflow_id,
        path=it.path,
        actor=it.actor.login,
    )
    return facts, _as_subject(it.id, body), it.updated_at


def _read_workflow_job(body: Body) -> Reading:
    it = body.workflow_job
    facts = WorkflowJobFacts(
        **_common(body),
        url=it.html_url,
        branch=it.head_branch,
        commit_sha=it.head_sha,
        job_id=it.id,
        run_id=it.run_id,
        name=it.name,
        workflow=it.workflow_name,
        status=it.status,
        conclusion=it.conclusion,
        attempt=it.run_attempt,
        runner=it.runner_name,
    )
    return facts, _as_subject(it.id, body), it.completed_at or it.started_at or it.created_at


def _read_workflow_dispatch(body: Body) -> Reading:
    facts = WorkflowDispatchFacts(
        **_common(body),
        url=body.repository.html_url,
        branch=_branch_of(body.ref),
        workflow=as_text(body.workflow),
        ref=body.ref,
    )
    return facts, body.repository.full_name, None


def _read_check_run(body: Body) -> Reading:
    it = body.check_run
    facts = CheckRunFacts(
        **_common(body),
        url=it.html_url,
        pr_number=_number_in(it.pull_requests),
        branch=it.check_suite.head_branch,
        commit_sha=it.head_sha,
        check_id=it.id,
        suite_id=it.check_suite.id,
        name=it.name,
        app=it.app.slug or it.app.name,
        status=it.status,
        conclusion=it.conclusion,
        title=it.output.title,
        summary=it.output.summary,
        details_url=it.details_url,
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
        suite_id=it.id,
        app=it.app.slug or it.app.name,
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
        title=issue.title,
        comment_id=it.id,
        author=it.user.login,
        body=it.body,
    )
    return facts, _of_repository(body, issue.number), it.updated_at


def _read_commit_comment(body: Body) -> Reading:
    it = body.comment
    facts = CommentFacts(
        **_common(body),
        url=it.html_url,
        commit_sha=it.commit_id,
        comment_id=it.id,
        author=it.user.login,
        body=it.body,
    )
    return facts, body.repository.full_name, it.updated_at


def _read_issue(body: Body) -> Reading:
    return _as_issue(body, body.issue)


def _read_discussion(body: Body) -> Reading:
    return _as_issue(body, body.discussion)


def _as_issue(body: Body, it: Issue) -> Reading:
    facts = IssueFacts(
        **_common(body),
        url=it.html_url,
        issue_number=it.number,
        title=it.title,
        author=it.user.login,
        state=it.state,
        state_reason=it.state_reason,
        labels=tuple(label.name for label in it.labels if label.name),
    )
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
        description=status.description or it.description,
        creator=status.creator.login or it.creator.login,
        task=it.task,
    )
    return facts, _as_subject(it.id, body), status.updated_at or it.updated_at


def _read_push(body: Body) -> Reading:
    it = body.head_commit
    facts = PushFacts(
        **_common(body),
        url=body.compare,
        branch=_branch_of(body.ref),
        tag=_tag_of(body.ref),
        commit_sha=None if body.after == _NO_COMMIT else body.after,
        ref=body.ref,
        before=body.before,
        created=body.created,
        deleted=body.deleted,
        forced=body.forced,
        commits=len(body.commits),
        message=it.message,
        author=it.author.name,
    )
    return facts, body.repository.full_name, it.timestamp


def _read_ref(body: Body) -> Reading:
    """Read `create` and `delete`, whose ref is a bare name with its kind beside it."""
    facts = PushFacts(
        **_common(body),
        url=body.repository.html_url,
        branch=body.ref if body.ref_type == "branch" else None,
        tag=body.ref if body.ref_type == "tag" else None,
        ref=body.ref,
    )
    return facts, body.repository.full_name, None


def _read_status(body: Body) -> Reading:
    facts = StatusFacts(
        **_common(body),
        url=body.target_url,
        branch=body.branches[0].name if body.branches else None,
        commit_sha=body.sha,
        state=body.state,
        context=body.context,
        description=body.description,
    )
    return facts, body.repository.full_name, body.updated_at


def _read_release(body: Body) -> Reading:
    it = body.release
    facts = ReleaseFacts(
        **_common(body),
        url=it.html_url,
        branch=it.target_commitish,
        release_id=it.id,
        tag=it.tag_name,
        name=it.name,
        author=it.author.login,
        draft=it.draft,
        prerelease=it.prerelease,
    )
    return facts, _as_subject(it.id, body), it.published_at or it.created_at


def _read_merge_group(body: Body) -> Reading:
    it = body.merge_group
    facts = RepositoryFacts(
        **_common(body),
        url=body.repository.html_url,
        branch=_branch_of(it.head_ref),
        commit_sha=it.head_sha,
    )
    return facts, body.repository.full_name, None


def _read_repository_dispatch(body: Body) -> Reading:
    facts = RepositoryFacts(**_common(body), url=body.repository.html_url, branch=body.branch)
    return facts, body.repository.full_name, None


def _read_alert(body: Body) -> Reading:
    it = body.alert
    rules = (it.rule, it.security_advisory)
    facts = SecurityAlertFacts(
        **_common(body),
        url=it.html_url,
        branch=_branch_of(body.ref),
        commit_sha=body.commit_oid,
        alert_number=it.number,
        state=it.state,
        severity=next(filter(None, (r.security_severity_level or r.severity for r in rules)), None),
        title=next(filter(None, (r.summary or r.description for r in rules)), None)
        or it.secret_type_display_name
        or it.secret_type,
    )
    return facts, _of_repository(body, it.number), it.updated_at or it.created_at


def _read_other(body: Body) -> Reading:
    facts = RepositoryFacts(**_common(body), url=body.repository.html_url)
    return facts, body.repository.full_name, None


READERS: Mapping[str, Callable[[Body], Reading]] = MappingProxyType(
    {
        "pull_request": _read_pull_request,
        "pull_request_review": _read_review,
        "pull_request_review_comment": _read_review_comment,
        "pull_request_review_thread": _read_pull_request,
        "workflow_run": _read_workflow_run,
        "workflow_job": _read_workflow_job,
        "workflow_dispatch": _read_workflow_dispatch,
        "repository_dispatch": _read_repository_dispatch,
        "check_run": _read_check_run,
        "check_suite": _read_check_suite,
        "issue_comment": _read_comment,
        "commit_comment": _read_commit_comment,
        "issues": _read_issue,
        "discussion": _read_discussion,
        "deployment": _read_deployment,
        "deployment_status": _read_deployment,
        "push": _read_push,
        "create": _read_ref,
        "delete": _read_ref,
        "status": _read_status,
        "release": _read_release,
        "merge_group": _read_merge_group,
        "dependabot_alert": _read_alert,
        "code_scanning_alert": _read_alert,
        "secret_scanning_alert": _read_alert,
    }
)
