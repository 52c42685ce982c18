"""How events about work on commits are read: workflows, checks, deployments, releases."""

from __future__ import annotations

from service.vendors.github.facts import (
    CheckRunFacts,
    DeploymentFacts,
    ReleaseFacts,
    RepositoryFacts,
    StatusFacts,
    WorkflowDispatchFacts,
    WorkflowJobFacts,
    WorkflowRunFacts,
)
from service.vendors.github.payloads import Body
from service.vendors.github.readings import (
    Reading,
    as_subject,
    branch_of,
    common_facts,
    number_in,
)
from service.vendors.reading import as_text


def read_workflow_run(body: Body) -> Reading:
    """Read `workflow_run`."""
    it = body.workflow_run
    facts = WorkflowRunFacts(
        **common_facts(body),
        url=it.html_url,
        pr_number=number_in(it.pull_requests),
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
    return facts, as_subject(it.id, body), it.updated_at


def read_workflow_job(body: Body) -> Reading:
    """Read `workflow_job`."""
    it = body.workflow_job
    facts = WorkflowJobFacts(
        **common_facts(body),
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
    return facts, as_subject(it.id, body), it.completed_at or it.started_at or it.created_at


def read_workflow_dispatch(body: Body) -> Reading:
    """Read `workflow_dispatch`."""
    facts = WorkflowDispatchFacts(
        **common_facts(body),
        url=body.repository.html_url,
        branch=branch_of(body.ref),
        workflow=as_text(body.workflow),
        ref=body.ref,
    )
    return facts, body.repository.full_name, None


def read_check_run(body: Body) -> Reading:
    """Read `check_run`."""
    it = body.check_run
    facts = CheckRunFacts(
        **common_facts(body),
        url=it.html_url,
        pr_number=number_in(it.pull_requests),
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
    return facts, as_subject(it.id, body), it.completed_at or it.started_at


def read_check_suite(body: Body) -> Reading:
    """Read `check_suite`."""
    it = body.check_suite
    facts = CheckRunFacts(
        **common_facts(body),
        url=it.url,
        pr_number=number_in(it.pull_requests),
        branch=it.head_branch,
        commit_sha=it.head_sha,
        check_id=it.id,
        suite_id=it.id,
        app=it.app.slug or it.app.name,
        status=it.status,
        conclusion=it.conclusion,
    )
    return facts, as_subject(it.id, body), it.updated_at


def read_deployment(body: Body) -> Reading:
    """Read `deployment` and `deployment_status`."""
    it, status = body.deployment, body.deployment_status
    facts = DeploymentFacts(
        **common_facts(body),
        url=status.environment_url or status.target_url,
        branch=branch_of(it.ref),
        commit_sha=it.sha,
        deployment_id=it.id,
        environment=status.environment or it.environment,
        state=status.state,
        log_url=status.log_url,
        description=status.description or it.description,
        creator=status.creator.login or it.creator.login,
        task=it.task,
    )
    return facts, as_subject(it.id, body), status.updated_at or it.updated_at


def read_status(body: Body) -> Reading:
    """Read `status`."""
    facts = StatusFacts(
        **common_facts(body),
        url=body.target_url,
        branch=body.branches[0].name if body.branches else None,
        commit_sha=body.sha,
        state=body.state,
        context=body.context,
        description=body.description,
    )
    return facts, body.repository.full_name, body.updated_at


def read_release(body: Body) -> Reading:
    """Read `release`."""
    it = body.release
    facts = ReleaseFacts(
        **common_facts(body),
        url=it.html_url,
        branch=it.target_commitish,
        release_id=it.id,
        tag=it.tag_name,
        name=it.name,
        author=it.author.login,
        draft=it.draft,
        prerelease=it.prerelease,
    )
    return facts, as_subject(it.id, body), it.published_at or it.created_at


def read_merge_group(body: Body) -> Reading:
    """Read `merge_group`."""
    it = body.merge_group
    facts = RepositoryFacts(
        **common_facts(body),
        url=body.repository.html_url,
        branch=branch_of(it.head_ref),
        commit_sha=it.head_sha,
    )
    return facts, body.repository.full_name, None
