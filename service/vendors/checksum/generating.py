"""Generating tests for a pull request, and choosing the tests that a change affects."""

from __future__ import annotations

from pydantic import Field

from schemas.events import Json
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.questions import Repo, Text, repository_for


class GenerateTestsParams(Params):
    """For which pull request."""

    pr_number: int = Field(ge=1, description="Number of the pull request.")
    branch: Text = Field(description="Branch of the pull request.")
    repo: Repo | None = Field(
        default=None,
        description="Repository of the pull request, as owner/repo; left out, options.repository "
        "of the connection.",
    )
    metadata: dict[str, Json] = Field(
        default_factory=dict,
        description="Goes into the prompt: links and ids, never secrets or foreign text.",
    )
    env_overrides: dict[str, str] = Field(
        default_factory=dict, description="Variables of the environment set for the generation."
    )


class GenerateTestsOutputs(Outputs):
    """The generation that was started."""

    batch_id: str = Field(description="The generation, for checksum.generation_progress.")
    session_id: str | None = Field(description="Checksum's id of its session.")
    url: str | None = Field(description="Page of the session for people.")


def generate_tests(context: CallContext, params: GenerateTestsParams) -> Done:
    """Generate tests for a pull request. Checksum comments on it by itself."""
    repo = repository_for(params.repo, context.options, needed=True)
    told = ChecksumClient(context.http, context.options).auto_generate(
        pr_number=params.pr_number,
        repo=repo or "",
        branch=params.branch,
        metadata={"correlation_id": context.idempotency_key, **params.metadata},
        env_overrides=params.env_overrides,
    )
    outputs = GenerateTestsOutputs(
        batch_id=told.batch_id, session_id=told.session_id, url=told.links.session
    )
    return Done(outputs, {"batch_id": told.batch_id})


class GenerationProgressParams(Params):
    """Which generation to look at."""

    batch_id: Text = Field(description="The generation, as checksum.generate_tests gave it.")


class GenerationProgressOutputs(Outputs):
    """How far a generation has come."""

    batch_id: str = Field(description="The generation.")
    status: str = Field(description="Checksum's word; failed can come while sessions still run.")
    all_terminal: bool = Field(description="The generation has ended, whatever status says.")
    total: int = Field(description="How many sessions there are.")
    completed: int = Field(description="Sessions that ended well.")
    failed: int = Field(description="Sessions that failed.")
    pr_urls: tuple[str, ...] = Field(description="The pull requests that were made, each once.")


def generation_progress(context: CallContext, params: GenerationProgressParams) -> Done:
    """Give how far a generation has come."""
    batch = ChecksumClient(context.http, context.options).generation(params.batch_id)
    return Done(
        GenerationProgressOutputs(
            batch_id=batch.batch_id or params.batch_id,
            status=batch.status or "unknown",
            all_terminal=batch.all_terminal,
            total=batch.session_count(),
            completed=batch.completed_count,
            failed=batch.failed_count,
            pr_urls=batch.pr_urls(),
        ),
        changed=False,
    )


class AffectedTestsParams(Params):
    """What has changed."""

    change: dict[str, Json] = Field(
        description="The change in Checksum's words, sent as it is; their names are not published."
    )


class AffectedTestsOutputs(Outputs):
    """The tests that should run."""

    test_ids: tuple[str, ...] = Field(description="Ids of the tests, for checksum.run_tests.")
    count: int = Field(description="How many there are.")


def affected_tests(context: CallContext, params: AffectedTestsParams) -> Done:
    """Give the tests that a change affects."""
    found = ChecksumClient(context.http, context.options).affected_tests(params.change)
    outputs = AffectedTestsOutputs(test_ids=found.test_ids, count=len(found.test_ids))
    return Done(outputs, changed=False)
