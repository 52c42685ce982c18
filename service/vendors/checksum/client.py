"""Checksum's public API, version 1 and the parts of version 2 that there are (reference 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from schemas.events import Json
from service.errors import Refused, VendorBroken
from service.http import HttpAnswer, VendorHttp, path_of
from service.vendors.base import CallContext, dig
from service.vendors.checksum.options import ChecksumOptions
from service.vendors.checksum.payloads import (
    SUCCEEDED,
    TERMINAL,
    AffectedTests,
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

_TEST_IDS = ("checksumTestId", "testId", "id")

V1 = "/public-api/v1"
V2 = "/public-api/v2"
BUGS_A_PAGE = 50
MAX_BUG_PAGES = 1000

_HINTS: Mapping[int, str] = {
    401: "Checksum does not know this key: check credentials.api_key of the connection; a project "
    "that takes its key in another header needs options.key_header: ChecksumAppCode",
    403: "the key is known but may not do this: one key belongs to one project, so check that the "
    "run, test or batch is of the same",
    404: "the key's project does not have this: check the id, and that the key is of the project "
    "it comes from",
}


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


class BugPage(NamedTuple):
    """A part of the list of bugs; `places` also counts the rows that could not be read."""

    read: Sequence[BugRow]
    places: int

    @property
    def is_last(self) -> bool:
        """Whether the list ends here."""
        return self.places < BUGS_A_PAGE


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
        shards: int | None = None,
    ) -> Dispatched:
        """Start the tests that a text or regular expression selects, on a branch (v2).

        A run in `shards` (2 to 40) has no job name, and cannot heal by itself.
        """
        body: dict[str, Any] = {"grep": grep}
        if shards is not None:
            body[self._options.shards_field] = shards
        if branch is not None:
            body["branch"] = branch
        if env_overrides:
            body["envOverrides"] = dict(env_overrides)
        return self._dispatch(f"{V2}/execution/grep", _with_heal(body, auto_heal))

    def run_grep_v1(self, grep: str) -> Dispatched:
        """Start the tests that a text or regular expression selects (old form)."""
        return self._dispatch(f"{V1}/execution/grep", {"grep": grep})

    def affected_tests(self, change: Mapping[str, Json]) -> AffectedTests:
        """Give the tests that a change affects; nothing is started.

        The vendor publishes neither body nor answer: `change` is sent as it is, and the tests are
        looked for at `affected_tests_paths`.
        """
        answer = self._call("POST", f"{V1}/affected-tests", json=dict(change), safe=True)
        body = answer.json()
        lists = [body, *(dig(body, path) for path in self._options.affected_tests_paths)]
        found = next((one for one in lists if isinstance(one, list)), None)
        if found is None:
            raise VendorBroken(
                "Checksum's answer names no affected tests at options.affected_tests_paths"
            )
        ids = [as_text(one) or first_text(one, _TEST_IDS) for one in found]
        return AffectedTests.model_validate({"testIds": ids})

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
        url = as_text(body) or first_text(body, self._options.report_paths)
        if url is None or not url.startswith(("http://", "https://")):
            raise VendorBroken("Checksum's answer names no address of a report")
        return url

    def attachments(self, test_run_id: str, test_id: str) -> list[Attachment]:
        """Give traces, screenshots and videos of one test."""
        answer = self._get(f"{V1}/test-runs{path_of(test_run_id, 'tests', test_id)}/attachments")
        return [answer.fit(Attachment, item) for item in answer.objects("attachments")]

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
        """Give every bug that fits once, page by page, up to a page that gives nothing new."""
        seen: set[str] = set()
        for page in range(MAX_BUG_PAGES):
            rows = self.bugs_page(
                offset=page * BUGS_A_PAGE,
                status=status,
                severity=severity,
                search=search,
                tags=tags,
                project=project,
                collection_name=collection_name,
            )
            fresh = [row for row in rows.read if row.id is None or row.id not in seen]
            yield from fresh
            seen.update(row.id for row in fresh if row.id is not None)
            if rows.is_last or not fresh:
                return
        raise VendorBroken("Checksum's list of bugs has no end")

    def bugs_page(
        self,
        *,
        offset: int,
        status: str | None = None,
        severity: str | None = None,
        search: str | None = None,
        tags: Sequence[str] = (),
        project: str | None = None,
        collection_name: str | None = None,
    ) -> BugPage:
        """Give up to 50 bugs that fit, from this place in the list; fewer are the last."""
        asked = {
            "status": status,
            "severity": severity,
            "search": search,
            "tags": list(tags) or None,
            "project": project,
            "collectionName": collection_name,
            "limit": BUGS_A_PAGE,
            "offset": offset,
        }
        answer = self._get(f"{V1}/health-dashboard/bugs", asked)
        rows = answer.items("bugs", "data", "items")
        read = [answer.fit(BugRow, row) for row in answer.objects_of(rows)]
        return BugPage(read, len(rows))

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
        return self._call("GET", path, params=params)

    def _post(self, path: str, body: Json) -> HttpAnswer:
        return self._call("POST", path, json=body)

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        safe: bool | None = None,
    ) -> HttpAnswer:
        try:
            return self._http.request(method, path, params=params, json=json, safe=safe)
        except Refused as fault:
            hint = _HINTS.get(fault.status or 0, fault.hint)
            raise Refused(fault.message, status=fault.status, hint=hint) from fault

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
