"""Questions that change nothing: where a run stands, its results, its report, the bugs."""

from __future__ import annotations

from itertools import islice
from typing import Literal
from uuid import UUID

from pydantic import Field, model_validator

from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.payloads import run_url
from service.vendors.checksum.questions import Text, ask_status

MOST_BUGS = 500


class RunStatusParams(Params):
    """Which run: `run_id` goes before `name`. `version` is the API the run was started by."""

    name: Text | None = None
    run_id: Text | None = None
    version: Literal[1, 2] = 2

    @model_validator(mode="after")
    def _need_one(self) -> RunStatusParams:
        if self.name is None and self.run_id is None:
            message = "give name or run_id, as the action that started the run gave them"
            raise ValueError(message)
        return self


class RunStatusOutputs(Outputs):
    """Where a run stands. A status that is not known is not terminal.

    `heal_batch_id` is the heal the run began by itself, where the vendor names it.
    """

    status: str
    terminal: bool
    succeeded: bool
    test_run_id: str | None
    url: str | None
    passed: int
    failed: int
    recovered: int
    bug: int
    heal_batch_id: str | None


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
    """Which run, and which of its tests: those of one status, or all when None."""

    test_run_id: UUID
    status: Text | None = "failed"


class ResultsTest(Outputs):
    """One test of a run."""

    id: str | None
    title: str | None
    file: str | None
    status: str | None
    error: str | None
    health: str | None
    tags: tuple[str, ...]


class ResultsOutputs(Outputs):
    """A run's counts and tests."""

    test_run_id: str
    url: str
    status: str
    branch: str | None
    passed: int
    failed: int
    recovered: int
    bug: int
    tests: tuple[ResultsTest, ...]


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

    test_run_id: UUID


class ReportOutputs(Outputs):
    """Where the HTML report of a run is."""

    url: str


def report(context: CallContext, params: ReportParams) -> Done:
    """Give the address of a run's report."""
    url = ChecksumClient(context.http, context.options).report(str(params.test_run_id))
    return Done(ReportOutputs(url=url), changed=False)


class BugsParams(Params):
    """Which bugs; all fields narrow the list."""

    status: Literal["needs-triage", "confirmed", "fixed", "not-bug", "snoozed"] | None = None
    severity: Literal["critical", "major", "minor"] | None = None
    search: Text | None = None
    tags: tuple[Text, ...] = ()
    project: Text | None = None
    collection_name: Text | None = None
    limit: int = Field(default=100, ge=1, le=MOST_BUGS)


class BugOutputs(Outputs):
    """One bug."""

    id: str | None
    title: str | None
    status: str | None
    severity: str | None
    url: str | None
    tags: tuple[str, ...]


class BugsOutputs(Outputs):
    """The bugs found, at most `limit`; `more` when there are others."""

    bugs: tuple[BugOutputs, ...]
    count: int
    more: bool


def bugs(context: CallContext, params: BugsParams) -> Done:
    """Give the bugs of the health dashboard."""
    found = ChecksumClient(context.http, context.options).bugs(
        status=params.status,
        severity=params.severity,
        search=params.search,
        tags=params.tags,
        project=params.project,
        collection_name=params.collection_name,
    )
    rows = list(islice(found, params.limit + 1))
    kept = rows[: params.limit]
    return Done(
        BugsOutputs(
            bugs=tuple(
                BugOutputs(
                    id=row.id,
                    title=row.title,
                    status=row.status,
                    severity=row.severity,
                    url=row.url,
                    tags=row.tags,
                )
                for row in kept
            ),
            count=len(kept),
            more=len(rows) > len(kept),
        ),
        changed=False,
    )
