"""How events about talk and review are read: pull requests, issues, comments."""

from __future__ import annotations

from typing import Any

from service.vendors.github.facts import (
    CommentFacts,
    IssueFacts,
    PullRequestFacts,
    ReviewCommentFacts,
    ReviewFacts,
)
from service.vendors.github.payloads import Body, Issue
from service.vendors.github.readings import (
    Reading,
    common_facts,
    of_repository,
)


def _pull_request(body: Body) -> dict[str, Any]:
    it = body.pull_request
    return {
        **common_facts(body),
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


def read_pull_request(body: Body) -> Reading:
    """Read `pull_request` and `pull_request_review_thread`."""
    facts = PullRequestFacts(**_pull_request(body))
    return facts, of_repository(body, facts.pr_number), body.pull_request.updated_at


def read_review(body: Body) -> Reading:
    """Read `pull_request_review`."""
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
    return facts, of_repository(body, facts.pr_number), it.submitted_at


def read_review_comment(body: Body) -> Reading:
    """Read `pull_request_review_comment`."""
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
    return facts, of_repository(body, facts.pr_number), it.updated_at


def read_comment(body: Body) -> Reading:
    """Read `issue_comment`."""
    it, issue = body.comment, body.issue
    facts = CommentFacts(
        **common_facts(body),
        url=it.html_url,
        pr_number=issue.number if issue.pull_request is not None else None,
        issue_number=issue.number,
        title=issue.title,
        comment_id=it.id,
        author=it.user.login,
        body=it.body,
    )
    return facts, of_repository(body, issue.number), it.updated_at


def read_commit_comment(body: Body) -> Reading:
    """Read `commit_comment`."""
    it = body.comment
    facts = CommentFacts(
        **common_facts(body),
        url=it.html_url,
        commit_sha=it.commit_id,
        comment_id=it.id,
        author=it.user.login,
        body=it.body,
    )
    return facts, body.repository.full_name, it.updated_at


def read_issue(body: Body) -> Reading:
    """Read `issues`."""
    return _as_issue(body, body.issue)


def read_discussion(body: Body) -> Reading:
    """Read `discussion`."""
    return _as_issue(body, body.discussion)


def _as_issue(body: Body, it: Issue) -> Reading:
    facts = IssueFacts(
        **common_facts(body),
        url=it.html_url,
        issue_number=it.number,
        title=it.title,
        author=it.user.login,
        state=it.state,
        state_reason=it.state_reason,
        labels=tuple(label.name for label in it.labels if label.name),
    )
    return facts, of_repository(body, it.number), it.updated_at
