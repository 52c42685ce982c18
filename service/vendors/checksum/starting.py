"""Starting runs. The vendor takes no idempotency key: a run is started once for its step.

Whether it heals by itself is remembered, so that it is never healed a second time.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from schemas.events import Json
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.payloads import Dispatched
from service.vendors.checksum.questions import Repo, Text, repository_for


class AutoHealBlock(Params):
    """Ask the run to heal by itself when it ends failed."""

    auto_create_pr: bool = Field(
        default=True, description="Opens a pull request with what was mended."
    )
    branch: Text | None = Field(
        default=None,
        description="Branch of the tests for the pull request, not the branch that is run.",
    )
    repo: Repo | None = Field(
        default=None,
        description="Repository of the tests, as owner/repo; left out, options.repository of the "
        "connection.",
    )
    pr_number: int | None = Field(
        default=None, ge=1, description="Pull request on which Checksum comments its progress."
    )


class RunSuiteParams(Params):
    """Every test."""

    auto_heal: AutoHealBlock | None = Field(
        default=None, description="Heals the run by itself when it ends failed."
    )


class RunCollectionParams(RunSuiteParams):
    """The tests of one collection."""

    collection_id: Text = Field(description="Checksum's id of the collection.")


class RunTestsParams(RunSuiteParams):
    """Chosen tests."""

    test_ids: tuple[Text, ...] = Field(
        min_length=1, description="Checksum's ids of the tests, at least one."
    )


class RunGrepParams(RunSuiteParams):
    """The tests that a text or regular expression selects, on a branch."""

    grep: Text = Field(description="Text or regular expression that selects tests.")
    branch: Text | None = Field(
        default=None, description="Branch that is checked out for this run."
    )
    env_overrides: dict[str, str] = Field(
        default_factory=dict, description="Variables of the environment set for this run."
    )
    shards: int | None = Field(
        default=None,
        ge=2,
        le=40,
        description="Divides the run among so many machines; such a run cannot heal by itself.",
    )

    @model_validator(mode="after")
    def _shard_or_heal(self) -> RunGrepParams:
        if self.shards is not None and self.auto_heal is not None:
            message = "a run in shards cannot heal by itself: leave out shards or auto_heal"
            raise ValueError(message)
        return self


class DispatchOutputs(Outputs):
    """The run that was started: by job name, by run id, or both; a sharded run has no name."""

    name: str | None = Field(description="Job name; a run in shards has none.")
    run_id: str | None = Field(description="Run id, where Checksum gives one.")
    sharded: bool = Field(description="The run is divided among several machines.")


def run_suite(context: CallContext, params: RunSuiteParams) -> Done:
    """Start every test."""
    client = ChecksumClient(context.http, context.options)
    return _started(client.run_suite(_block(context, params)), params)


def run_collection(context: CallContext, params: RunCollectionParams) -> Done:
    """Start the tests of a collection."""
    client = ChecksumClient(context.http, context.options)
    return _started(client.run_collection(params.collection_id, _block(context, params)), params)


def run_tests(context: CallContext, params: RunTestsParams) -> Done:
    """Start chosen tests."""
    client = ChecksumClient(context.http, context.options)
    return _started(client.run_tests(params.test_ids, _block(context, params)), params)


def run_grep(context: CallContext, params: RunGrepParams) -> Done:
    """Start the tests that a text or regular expression selects."""
    told = ChecksumClient(context.http, context.options).run_grep(
        params.grep,
        branch=params.branch,
        env_overrides=params.env_overrides,
        auto_heal=_block(context, params),
        shards=params.shards,
    )
    return _started(told, params)


def _started(told: Dispatched, params: RunSuiteParams) -> Done:
    outputs = DispatchOutputs(name=told.name, run_id=told.run_id, sharded=told.sharded)
    return Done(
        outputs,
        {
            "name": told.name,
            "run_id": told.run_id,
            "auto_heal": params.auto_heal is not None,
            "test_run_id": None,
        },
    )


def _block(context: CallContext, params: RunSuiteParams) -> Json:
    asked = params.auto_heal
    if asked is None:
        return None
    repo = repository_for(
        asked.repo, context.options, needed=asked.auto_create_pr or asked.pr_number is not None
    )
    block: dict[str, Any] = {"autoCreatePR": asked.auto_create_pr}
    named = {"branch": asked.branch, "repoName": repo, "prNumber": asked.pr_number}
    return {**block, **{key: value for key, value in named.items() if value is not None}}
