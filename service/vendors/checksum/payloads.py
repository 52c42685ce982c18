"""Answers of Checksum's API: the fields we read, tolerant of everything else.

Shapes from checksum.ai/docs and the vendor's own GitHub action (reference 5); where a shape is not
published, several names are accepted.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from service.vendors.reading import Payload, Text, Texts, Time, Whole, as_list, as_whole

APP = "https://app.checksum.ai/#"

TERMINAL = frozenset({"passed", "healed", "failed", "process-error", "cancelled"})
SUCCEEDED = frozenset({"passed", "healed"})
"""A status that is not known yet is not terminal: it is asked for again until a deadline."""


def _count(value: object) -> int:
    return max(as_whole(value) or 0, 0)


def _objects(value: object) -> list[object]:
    return [item for item in as_list(value) if isinstance(item, BaseModel | dict)]


def _flag(value: object) -> bool:
    return value is True


Count = Annotated[int, BeforeValidator(_count)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class ChecksumPayload(Payload):
    """Base: the vendor writes names in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Project(ChecksumPayload):
    """Whose key it is."""

    id: Text = None
    name: Text = None


class Dispatched(ChecksumPayload):
    """A run that was started: a job name, or a run id, or both."""

    name: Text = None
    run_id: Text = None
    sharded: Flag = False


class JobStatus(ChecksumPayload):
    """Where a run stands by its job name. `test_run_id` comes with v2 and a terminal status."""

    status: Text = None
    test_run_id: Text = None
    passed: Count = 0
    failed: Count = 0
    recovered: Count = 0
    bug: Count = 0


class Verdict(ChecksumPayload):
    """Where a run stands by its run id."""

    is_terminal: Flag = False
    verdict: Text = None
    phase: Text = None
    status: Text = None
    executed_count: Whole = None
    test_run_id: Text = None


class TestResult(ChecksumPayload):
    """One test of a run."""

    __test__ = False  # the name begins with Test; pytest must not collect it

    checksum_test_id: Text = None
    test_title: Text = None
    test_file_path: Text = None
    status: Text = None
    error_message: Text = None
    health_status: Text = None
    tags: Texts = ()


class TestRun(JobStatus):
    """One run as `latest` and `results` give it."""

    __test__ = False

    id: Text = Field(default=None, validation_alias=AliasChoices("id", "testRunId", "runId"))
    branch: Text = None
    commit_sha: Text = None
    pr_number: Whole = None
    duration_ms: Whole = None
    created_at: Time = Field(
        default=None, validation_alias=AliasChoices("createdAt", "startedAt", "startTime")
    )
    finished_at: Time = Field(
        default=None, validation_alias=AliasChoices("finishedAt", "completedAt", "endTime")
    )
    tests: Annotated[tuple[TestResult, ...], BeforeValidator(_objects)] = ()


class Attachment(ChecksumPayload):
    """A trace, screenshot or video of one test."""

    name: Text = None
    type: Text = None
    url: Text = None


class BugRow(ChecksumPayload):
    """One bug of the health dashboard."""

    id: Text = Field(default=None, validation_alias=AliasChoices("id", "bugId", "_id"))
    title: Text = Field(default=None, validation_alias=AliasChoices("title", "name", "summary"))
    status: Text = None
    severity: Text = None
    url: Text = Field(default=None, validation_alias=AliasChoices("url", "link"))
    tags: Texts = ()
    collection_name: Text = None
    test_run_id: Text = None
    created_at: Time = None
    updated_at: Time = None


class HealStarted(ChecksumPayload):
    """A heal that was accepted. One session may cover all failures."""

    batch_id: str
    session_ids: Texts = ()
    failure_count: Count = 0
    test_ids: Texts = ()
    test_run_url: Text = None
    session_url: Text = None


class Links(ChecksumPayload):
    """Links of a generation."""

    session: Text = None


class GenerationStarted(ChecksumPayload):
    """A test generation that was accepted."""

    batch_id: str
    session_id: Text = None
    links: Links = Field(default_factory=Links)


class BatchSession(ChecksumPayload):
    """One session of a batch."""

    session_id: Text = None
    checksum_test_id: Text = None
    status: Text = None
    pr_url: Text = None


class Batch(ChecksumPayload):
    """How far a heal or a generation has come; `all_terminal` says when it ends, not `status`."""

    batch_id: Text = None
    status: Text = None
    test_run_id: Text = None
    total_sessions: Whole = None
    completed_count: Count = 0
    failed_count: Count = 0
    all_terminal: Flag = False
    sessions: Annotated[tuple[BatchSession, ...], BeforeValidator(_objects)] = ()

    def pr_urls(self) -> tuple[str, ...]:
        """Give the pull requests that were made, each once: sessions may share one."""
        return tuple(dict.fromkeys(one.pr_url for one in self.sessions if one.pr_url))

    def session_count(self) -> int:
        """Give how many sessions there are; one session may cover several failures."""
        total = self.total_sessions
        return len(self.sessions) if total is None else max(total, 0)


class AffectedTests(ChecksumPayload):
    """The tests that a change affects."""

    test_ids: Texts = ()


def run_url(test_run_id: str) -> str:
    """Give the page of a run for people."""
    return f"{APP}/test-runs/{test_run_id}"
