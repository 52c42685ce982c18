"""Questions about a run that change nothing: where it stands, results, report, attachments."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field, model_validator

from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.payloads import TERMINAL, TestRun, run_url
from service.vendors.checksum.questions import Text, ask_status


class RunStatusParams(Params):
    """Which run: `run_id` goes before `name`."""

    name: Text | None = Field(
        default=None, description="Job name, as the step that started the run gave it."
    )
    run_id: Text | None = Field(
        default=None, description="Run id, as the step that started the run gave it."
    )
    version: Literal[1, 2] = Field(
        default=2, description="1 for a run that was not started by checksum.run_grep."
    )

    @model_validator(mode="after")
    def _need_one(self) -> RunStatusParams:
        if self.name is None and self.run_id is None:
            message = "give name or run_id, as the action that started the run gave them"
            raise ValueError(message)
        return self


class RunStatusOutputs(Outputs):
    """Where a run stands. A status that is not known is not terminal."""

    status: str = Field(
        description="queued, running, passed, healed, failed, process-error, cancelled, or another."
    )
    terminal: bool = Field(description="The run has ended.")
    succeeded: bool = Field(description="The run has ended well: passed or healed.")
    test_run_id: str | None = Field(description="UUID of the run, once it has ended.")
    url: str | None = Field(description="Page of the run for people.")
    passed: int = Field(description="Tests that passed.")
    failed: int = Field(description="Tests that failed.")
    recovered: int = Field(description="Tests that passed after they had failed.")
    bug: int = Field(description="Failed tests that found a bug of the application.")
    heal_batch_id: str | None = Field(
        description="The heal the run began by itself, where Checksum names it."
    )


def run_status(context: CallContext, params: RunStatusParams) -> Done:
    """Give where a run stands."""
    client = ChecksumClient(context.http, context.options)
    state = ask_status(client, params.name, params.run_id, version=params.version)
    return Done(
        RunStatusOutputs(
            status=state.status,
            terminal=state.terminal,
            succeeded=state.succeeded,
            test_run_id=state.test_run_id,
            url=run_url(state.test_run_id) if state.test_run_id else None,
            passed=state.passed,
            failed=state.failed,
            recovered=state.recovered,
            bug=state.bug,
            heal_batch_id=state.heal_batch_id,
        ),
        changed=False,
    )


class ResultsParams(Params):
    """Which run, and which of its tests."""

    test_run_id: UUID = Field(description="UUID of the run.")
    status: Text | None = Field(
        default="failed", description="Only tests of this status; null for all of them."
    )


class ResultsTest(Outputs):
    """One test of a run."""

    id: str | None = Field(description="Checksum's id of the test.")
    title: str | None = Field(description="Title of the test.")
    file: str | None = Field(description="File of the test.")
    status: str | None = Field(description="How the test ended.")
    error: str | None = Field(description="What went wrong.")
    health: str | None = Field(description="Health of the test over time, such as flaky.")
    tags: tuple[str, ...] = Field(description="Tags of the test.")


class ResultsOutputs(Outputs):
    """A run's counts and tests."""

    test_run_id: str = Field(description="UUID of the run.")
    url: str = Field(description="Page of the run for people.")
    status: str = Field(description="How the run ended, or where it stands.")
    branch: str | None = Field(description="Branch the run was of.")
    passed: int = Field(description="Tests that passed.")
    failed: int = Field(description="Tests that failed.")
    recovered: int = Field(description="Tests that passed after they had failed.")
    bug: int = Field(description="Failed tests that found a bug of the application.")
    tests: tuple[ResultsTest, ...] = Field(description="The tests that were asked for.")


def results(context: CallContext, params: ResultsParams) -> Done:
    """Give a run's counts and tests."""
    run_id = str(params.test_run_id)
    run = ChecksumClient(context.http, context.options).results(run_id, status=params.status)
    return Done(
        ResultsOutputs(
            test_run_id=run_id,
            url=run_url(run_id),
            status=run.status or "unknown",
            branch=run.branch,
            passed=run.passed,
            failed=run.failed,
            recovered=run.recovered,
            bug=run.bug,
            tests=tuple(
                ResultsTest(
                    id=test.checksum_test_id,
                    title=test.test_title,
                    file=test.test_file_path,
                    status=test.status,
                    error=test.error_message,
                    health=test.health_status,
                    tags=test.tags,
                )
                for test in run.tests
            ),
        ),
        changed=False,
    )


class ReportParams(Params):
    """Which run."""

    test_run_id: UUID = Field(description="UUID of the run.")


class ReportOutputs(Outputs):
    """Where the HTML report of a run is."""

    url: str = Field(description="Address of the report.")


def report(context: CallContext, params: ReportParams) -> Done:
    """Give the address of a run's report."""
    url = ChecksumClient(context.http, context.options).report(str(params.test_run_id))
    return Done(ReportOutputs(url=url), changed=False)


class AttachmentsParams(Params):
    """Which test of which run."""

    test_run_id: UUID = Field(description="UUID of the run.")
    test_id: Text = Field(description="Checksum's id of the test, as checksum.results gives it.")


class AttachmentOutputs(Outputs):
    """One attachment."""

    name: str | None = Field(description="Name of the file.")
    type: str | None = Field(description="What it is, such as trace, screenshot or video.")
    url: str | None = Field(description="Where it can be fetched.")


class AttachmentsOutputs(Outputs):
    """Traces, screenshots and videos of one test."""

    attachments: tuple[AttachmentOutputs, ...] = Field(description="What there is of the test.")


def attachments(context: CallContext, params: AttachmentsParams) -> Done:
    """Give what was recorded of one test."""
    client = ChecksumClient(context.http, context.options)
    found = client.attachments(str(params.test_run_id), params.test_id)
    outputs = AttachmentsOutputs(
        attachments=tuple(
            AttachmentOutputs(name=one.name, type=one.type, url=one.url) for one in found
        )
    )
    return Done(outputs, changed=False)


class LatestRunParams(Params):
    """Nothing is to be said: the key stands for the project."""


class LatestRunOutputs(Outputs):
    """The run that was started last; all empty when there was none yet."""

    test_run_id: str | None = Field(description="UUID of the run.")
    status: str | None = Field(description="How the run ended, or where it stands.")
    branch: str | None = Field(description="Branch the run was of.")
    terminal: bool = Field(description="The run has ended.")
    url: str | None = Field(description="Page of the run for people.")


def latest_run(context: CallContext, _params: LatestRunParams) -> Done:
    """Give the run that was started last."""
    run = ChecksumClient(context.http, context.options).latest() or TestRun()
    outputs = LatestRunOutputs(
        test_run_id=run.id,
        status=run.status,
        branch=run.branch,
        terminal=run.status in TERMINAL,
        url=run_url(run.id) if run.id else None,
    )
    return Done(outputs, changed=False)
