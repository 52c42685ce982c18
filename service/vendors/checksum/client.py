"""Checksum's public API, version 1 and the parts of version 2 that there are (reference 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from schemas.events import Json
from service.errors import Refused, VendorBroken
from service.http import HttpAnswer, VendorHttp, path_of
from service.vendors.base import CallContext, Options
from service.vendors.checksum.payloads import (
    SUCCEEDED,
    TERMINAL,
    Attachment,
    Batch,
    BugRow,
    Dispatched,
    GenerationStarted,
    HealStarted,
    JobStatus,
    Project,
    TestRun,
    Verdict,
)
from service.vendors.reading import as_text, first_text

V1 = "/public-api/v1"
V2 = "/public-api/v2"
BUGS_A_PAGE = 50
MAX_BUG_PAGES = 100


class ChecksumCredentials(BaseModel):
    """The key of one project."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr = Field(min_length=1)


class ChecksumOptions(Options):
    """Options of a connection.

    `repository` is the `<owner>/<repo>` of the tests. `heal_batch_paths` are the places where a
    run's status may name the heal it began by itself; the vendor does not publish one.
    """

    key_header: Literal["authorization", "ChecksumAppCode"] = "authorization"
    repository: str | None = Field(default=None, pattern=r"^[^/\s]+/[^/\s]+$")
    per_minute: float = Field(default=60, gt=0)
    heal_batch_paths: tuple[str, ...] = ("batchId", "autoHeal.batchId")


def auth_headers(credentials: ChecksumCredentials, options: ChecksumOptions) -> Mapping[str, str]:
    """Give the key under the header this project takes."""
    key = credentials.api_key.get_secret_value()
    if options.key_header == "ChecksumAppCode":
        return {"ChecksumAppCode": key}
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands, whichever call told it."""

    status: str
    terminal: bool
    test_run_id: str | None = None
    passed: int = 0
    failed: int = 0
    recovered: int = 0
    bug: int = 0
    heal_batch_id: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.terminal and self.status in SUCCEEDED


class ChecksumClient:
    """Every call of one project. Errors are those of VendorHttp."""

    def __init__(self, http: VendorHttp, options: ChecksumOptions) -> None:
        self._http = http
        self._options = options

    def me(self) -> Project:
        """Give whose key it is."""
        return self._get(V1 + "/me").read(Project)

    # --- execution ------------------------------------------------------------------------------

    def run_suite(self, auto_heal: Json = None) -> Dispatched:
        """Start every test."""
        return self._dispatch(f"{V1}/execution/suite", _with_heal({}, auto_heal))

    def run_collection(self, collection_id: str, auto_heal: Json = None) -> Dispatched:
        """Start the tests of a collection."""
        path = f"{V1}/execution/collection{path_of(collection_id)}"
        return self._dispatch(path, _with_heal({}, auto_heal))

    def run_tests(self, test_ids: Sequence[str], auto_heal: Json = None) -> Dispatched:
        """Start these tests."""
        body = _with_heal({"testIds": list(test_ids)}, auto_heal)
        return self._dispatch(f"{V1}/execution/tests", body)

    def run_grep(
        self,
        grep: str,
        *,
        branch: str | None = None,
        env_overrides: Mapping[str, str] | None = None,
        auto_heal: Json = None,
    ) -> Dispatched:
        """Start the tests that a text or regular expression selects, on a branch (v2)."""
        body: dict[str, Any] = {"grep": grep}
        if branch is not None:
            body["branch"] = branch
        if env_overrides:
            body["envOverrides"] = dict(env_overrides)
        return self._dispatch(f"{V2}/execution/grep", _with_heal(body, auto_heal))

    def run_grep_v1(self, grep: str) -> Dispatched:
        """Start the tests that a text or regular expression selects (old form)."""
        return self._dispatch(f"{V1}/execution/grep", {"grep": grep})

    def status_of_job(self, name: str, *, version: Literal[1, 2] = 2) -> RunState:
        """Give where the run with this job name stands; v2 only knows runs started by v2."""
        base = V2 if version == 2 else V1  # noqa: PLR2004  # the vendor's version number
        answer = self._get(f"{base}/execution/status{path_of(name)}")
        body = answer.json()
        told = answer.fit(JobStatus, body)
        status = told.status or "unknown"
        return RunState(
            status,
            status in TERMINAL,
            told.test_run_id,
            told.passed,
            told.failed,
            told.recovered,
            told.bug,
            first_text(body, self._options.heal_batch_paths),
        )

    def status_of_run(self, run_id: str) -> RunState:
        """Give where the run with this id stands.

        This call tells passing from failing only; a failure that executed nothing is counted as
        the vendor's own (`process-error`), since no test can be healed in it.
        """
        answer = self._get(f"{V1}/execution/status/run{path_of(run_id)}")
        body = answer.json()
        told = answer.fit(Verdict, body)
        status = _status_of_verdict(told)
        return RunState(
            status,
            told.is_terminal,
            (told.test_run_id or run_id) if told.is_terminal else None,
            heal_batch_id=first_text(body, self._options.heal_batch_paths),
        )

    # --- results --------------------------------------------------------------------------------

    def latest(self) -> TestRun | None:
        """Give the run that was started last; None when there is none yet."""
        try:
            answer = self._get(f"{V1}/test-runs/latest")
        except Refused as fault:
            if fault.status == 404:  # noqa: PLR2004
                return None
            raise
        run = answer.read(TestRun)
        return run if run.id is not None else None

    def results(self, test_run_id: str, *, status: str | None = None) -> TestRun:
        """Give a run's counts and its tests, those of one status when named."""
        path = f"{V1}/test-runs{path_of(test_run_id)}/results"
        return self._get(path, {"status": status}).read(TestRun)

    def report(self, test_run_id: str) -> str:
        """Give the address of a run's HTML report."""
        answer = self._get(f"{V1}/test-runs{path_of(test_run_id)}/report")
        try:
            body = answer.json()
        except VendorBroken:
            body = answer.text()
        url = as_text(body) or first_text(body, ("url", "reportUrl", "report.url", "data.url"))
        if url is None or not url.startswith(("http://", "https://")):
            raise VendorBroken("Checksum's answer names no address of a report")
        return url

    def attachments(self, test_run_id: str, test_id: str) -> list[Attachment]:
        """Give traces, screenshots and videos of one test."""
        answer = self._get(f"{V1}/test-runs{path_of(test_run_id, 'tests', test_id)}/attachments")
        return [answer.fit(Attachment, item) for item in answer.items("attachments")]

    def bugs(
        self,
        *,
        status: str | None = None,
        severity: str | None = None,
        search: str | None = None,
        tags: Sequence[str] = (),
        project: str | None = None,
        collection_name: str | None = None,
    ) -> Iterator[BugRow]:
        """Give every bug that fits, page by page."""
        asked = {
            "status": status,
            "severity": severity,
            "search": search,
            "tags": list(tags) or None,
            "project": project,
            "collectionName": collection_name,
            "limit": BUGS_A_PAGE,
        }
        for page in range(MAX_BUG_PAGES):
            offset = page * BUGS_A_PAGE
            answer = self._get(f"{V1}/health-dashboard/bugs", {**asked, "offset": offset})
            rows = answer.items("bugs", "data", "items")
            for row in rows:
                yield answer.fit(BugRow, row)
            if len(rows) < BUGS_A_PAGE:
                return

    # --- generation and healing -----------------------------------------------------------------

    def auto_generate(
        self,
        *,
        pr_number: int,
        repo: str,
        branch: str,
        metadata: Json = None,
        env_overrides: Mapping[str, str] | None = None,
    ) -> GenerationStarted:
        """Generate tests for a pull request."""
        body: dict[str, Any] = {"prNumber": pr_number, "repoName": repo, "branch": branch}
        if metadata:
            body["metadata"] = metadata
        if env_overrides:
            body["envOverrides"] = dict(env_overrides)
        return self._post(f"{V1}/auto-generate", body).read(GenerationStarted)

    def generation(self, batch_id: str) -> Batch:
        """Give how far a generation has come."""
        return self._get(f"{V1}/auto-generate/batch{path_of(batch_id)}").read(Batch)

    def auto_heal(
        self,
        *,
        test_run_id: str,
        auto_create_pr: bool,
        repo: str | None = None,
        branch: str | None = None,
        pr_number: int | None = None,
        metadata: Json = None,
    ) -> HealStarted:
        """Heal the failing tests of a run, named by its UUID and never by its job name."""
        body: dict[str, Any] = {"testRunId": test_run_id, "autoCreatePR": auto_create_pr}
        named = {"repoName": repo, "branch": branch, "prNumber": pr_number, "metadata": metadata}
        body.update({key: value for key, value in named.items() if value})
        return self._post(f"{V1}/auto-heal", body).read(HealStarted)

    def heal(self, batch_id: str) -> Batch:
        """Give how far a heal has come."""
        return self._get(f"{V1}/auto-heal/batch{path_of(batch_id)}").read(Batch)

    # --- how ------------------------------------------------------------------------------------

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> HttpAnswer:
        return self._http.request("GET", path, params=params)

    def _post(self, path: str, body: Json) -> HttpAnswer:
        return self._http.request("POST", path, json=body)

    def _dispatch(self, path: str, body: Json) -> Dispatched:
        told = self._post(path, body).read(Dispatched)
        if told.name is None and told.run_id is None:
            raise VendorBroken(
                "Checksum started a run and named neither job nor run", perhaps_done=True
            )
        return told


def check(context: CallContext) -> str:
    """Ask whose key it is."""
    project = ChecksumClient(context.http, context.options).me()
    return f"project {project.name or project.id or 'without name'}"


def _with_heal(body: dict[str, Any], auto_heal: Json) -> dict[str, Any]:
    return {**body, "autoHeal": auto_heal} if auto_heal else body


def _status_of_verdict(told: Verdict) -> str:
    if not told.is_terminal:
        return told.status or told.phase or "running"
    for named in (told.status, told.phase):
        if named in TERMINAL:
            return named
    if told.verdict == "pass":
        return "passed"
    return "process-error" if told.executed_count == 0 else "failed"
