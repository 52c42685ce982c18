"""How facts, subject and time are read from the body of each of GitHub's events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from service.vendors.github.facts import (
    PushFacts,
    RepositoryFacts,
    SecurityAlertFacts,
)
from service.vendors.github.payloads import Body
from service.vendors.github.readings import (
    Reading,
    branch_of,
    common_facts,
    of_repository,
    tag_of,
)
from service.vendors.github.talk_readers import (
    read_comment,
    read_commit_comment,
    read_discussion,
    read_issue,
    read_pull_request,
    read_review,
    read_review_comment,
)
from service.vendors.github.work_readers import (
    read_check_run,
    read_check_suite,
    read_deployment,
    read_merge_group,
    read_release,
    read_status,
    read_workflow_dispatch,
    read_workflow_job,
    read_workflow_run,
)

_NO_COMMIT = "0" * 40
"""What GitHub writes for the commit of a ref that is not there (any more)."""


def read_facts(event: str, body: Body) -> Reading:
    """Give facts, subject and time of the event with this GitHub name."""
    return READERS.get(event, _read_other)(body)


def _read_push(body: Body) -> Reading:
    it = body.head_commit
    facts = PushFacts(
        **common_facts(body),
        url=body.compare,
        branch=branch_of(body.ref),
        tag=tag_of(body.ref),
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
        **common_facts(body),
        url=body.repository.html_url,
        branch=body.ref if body.ref_type == "branch" else None,
        tag=body.ref if body.ref_type == "tag" else None,
        ref=body.ref,
    )
    return facts, body.repository.full_name, None


def _read_repository_dispatch(body: Body) -> Reading:
    facts = RepositoryFacts(**common_facts(body), url=body.repository.html_url, branch=body.branch)
    return facts, body.repository.full_name, None


def _read_alert(body: Body) -> Reading:
    it = body.alert
    rules = (it.rule, it.security_advisory)
    facts = SecurityAlertFacts(
        **common_facts(body),
        url=it.html_url,
        branch=branch_of(body.ref),
        commit_sha=body.commit_oid,
        alert_number=it.number,
        state=it.state,
        severity=next(filter(None, (r.security_severity_level or r.severity for r in rules)), None),
        title=next(filter(None, (r.summary or r.description for r in rules)), None)
        or it.secret_type_display_name
        or it.secret_type,
    )
    return facts, of_repository(body, it.number), it.updated_at or it.created_at


def _read_other(body: Body) -> Reading:
    facts = RepositoryFacts(**common_facts(body), url=body.repository.html_url)
    return facts, body.repository.full_name, None


READERS: Mapping[str, Callable[[Body], Reading]] = MappingProxyType(
    {
        "pull_request": read_pull_request,
        "pull_request_review": read_review,
        "pull_request_review_comment": read_review_comment,
        "pull_request_review_thread": read_pull_request,
        "workflow_run": read_workflow_run,
        "workflow_job": read_workflow_job,
        "workflow_dispatch": read_workflow_dispatch,
        "repository_dispatch": _read_repository_dispatch,
        "check_run": read_check_run,
        "check_suite": read_check_suite,
        "issue_comment": read_comment,
        "commit_comment": read_commit_comment,
        "issues": read_issue,
        "discussion": read_discussion,
        "deployment": read_deployment,
        "deployment_status": read_deployment,
        "push": _read_push,
        "create": _read_ref,
        "delete": _read_ref,
        "status": read_status,
        "release": read_release,
        "merge_group": read_merge_group,
        "dependabot_alert": _read_alert,
        "code_scanning_alert": _read_alert,
        "secret_scanning_alert": _read_alert,
    }
)
