"""The twin of Checksum: runs tests, heals failed runs, generates tests (reference 5).

The vendor publishes no error bodies, no limits and no idempotency key. Errors here are
`{"error", "message"}` (assumed); a second heal of one run makes a second batch.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins import checksum_bodies as bodies
from examples.twins.checksum_outcomes import Outcomes, RunOutcome, Script, TestResult
from examples.twins.checksum_runs import Batch, HealOrder, Run, RunBook
from examples.twins.clock import Clock, zulu
from examples.twins.ratelimit import Limits, Window
from examples.twins.record import mark_effect
from examples.twins.twin import Refusal, Settings

V1, V2 = "/public-api/v1", "/public-api/v2"
APP = "https://app.checksum.ai/#"


class ChecksumSettings(Settings):
    """Settings of this twin.

    Args:
        show_batch_id: the ended v2 status of a run that heals by itself names its batch. The
            vendor documents no way to learn it, so this is an assumption that can be switched off.
        dispatch_answer: `name` as documented, or `run_id` as the vendor's own action reads it.
        sessions: one session per healed run (newer behaviour), or one per failed test.
    """

    key: str = Field(default="checksum-key", min_length=1)
    show_batch_id: bool = True
    dispatch_answer: Literal["name", "run_id"] = "name"
    sessions: Literal["one", "per-failure"] = "one"


class AddedRun(RunOutcome):
    """A run that has ended already (`POST /_twin/runs`)."""

    branch: str = "main"
    id: UUID | None = None


class Bug(BaseModel):
    """A bug of the health dashboard (`POST /_twin/bugs`)."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default_factory=lambda: f"bug-{uuid4()}")
    title: str = "The order page does not open"
    status: Literal["needs-triage", "confirmed", "fixed", "not-bug", "snoozed"] = "needs-triage"
    severity: Literal["critical", "major", "minor"] = "major"
    tags: list[str] = Field(default_factory=list)
    project: str = "project-abc-123"
    collectionName: str | None = None  # noqa: N815 - the vendor's name


class ChecksumTwin:
    """Checksum's public API over one project."""

    name = "checksum"

    def __init__(self, settings: ChecksumSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.limits: Limits = {"api": Window(limit=None)}
        self.clear()

    def clear(self) -> None:
        """A project without runs, whose next runs pass and whose heals give a pull request."""
        self._outcomes = Outcomes()
        self._book = RunBook(self.clock, self._outcomes)
        self._bugs: list[Bug] = []

    def routes(self) -> Sequence[Route]:
        """The calls of both versions."""
        get, post = ["GET"], ["POST"]
        execution = f"{V1}/execution"
        runs = f"{V1}/test-runs"
        return (
            Route(f"{V1}/me", self.me, methods=get),
            Route(f"{execution}/suite", self.run_suite, methods=post),
            Route(f"{execution}/collection/{{id}}", self.run_collection, methods=post),
            Route(f"{execution}/tests", self.run_tests, methods=post),
            Route(f"{execution}/grep", self.run_grep, methods=post),
            Route(f"{V2}/execution/grep", self.run_grep_v2, methods=post),
            Route(f"{execution}/status/run/{{id}}", self.show_verdict, methods=get),
            Route(f"{execution}/status/{{name}}", self.show_status, methods=get),
            Route(f"{V2}/execution/status/{{name}}", self.show_status_v2, methods=get),
            Route(f"{runs}/latest", self.show_latest, methods=get),
            Route(f"{runs}/{{id}}/results", self.show_results, methods=get),
            Route(f"{runs}/{{id}}/report", self.show_report, methods=get),
            Route(f"{runs}/{{id}}/tests/{{test}}/attachments", self.attachments, methods=get),
            Route(f"{V1}/health-dashboard/bugs", self.list_bugs, methods=get),
            Route(f"{V1}/auto-generate", self.generate, methods=post),
            Route(f"{V1}/auto-generate/batch/{{id}}", self.show_generation, methods=get),
            Route(f"{V1}/auto-heal", self.heal, methods=post),
            Route(f"{V1}/auto-heal/batch/{{id}}", self.show_heal, methods=get),
        )

    def levers(self) -> Sequence[Route]:
        """Scripted outcomes, runs that have ended already, bugs."""
        return (
            Route("/outcomes", self.script, methods=["POST"]),
            Route("/runs", self.add_run, methods=["POST"]),
            Route("/bugs", self.add_bug, methods=["POST"]),
        )

    async def admit(self, request: Request) -> None:
        """A bearer key, or the header of the vendor's own action; then the request limit."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        bearer = given.strip() if scheme.lower() == "bearer" else ""
        if self.settings.key not in {bearer, request.headers.get("checksumappcode", "")}:
            raise self.refusal(401, "Invalid or missing API key")
        standing = self.limits["api"].take("project", self.clock.seconds())
        if not standing.allowed:
            body = {"error": "Too Many Requests", "message": "Rate limit exceeded"}
            raise Refusal(429, body, (("retry-after", str(standing.retry_after_s)),))

    def refusal(self, status: int, message: str) -> Refusal:
        """`{"error", "message"}`."""
        words = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
        return Refusal(status, {"error": words.get(status, "Error"), "message": message})

    def invalid(self, error: ValidationError) -> Refusal:
        """400 that names what does not fit."""
        found = [
            ".".join(map(str, problem["loc"])) + f": {problem['msg']}" for problem in error.errors()
        ]
        return self.refusal(400, "; ".join(found))

    def state(self) -> dict[str, object]:
        """Runs, batches and bugs."""
        return {**self._book.show(), "bugs": [bug.model_dump() for bug in self._bugs]}

    async def me(self, _: Request) -> Response:
        """The project of this key."""
        return JSONResponse({"id": "project-abc-123", "name": "My Project"})

    async def run_suite(self, request: Request) -> Response:
        """Start the whole suite."""
        asked = bodies.Dispatch.model_validate_json(await request.body() or b"{}")
        return self._dispatch(request, "suite", asked)

    async def run_collection(self, request: Request) -> Response:
        """Start a collection."""
        asked = bodies.Dispatch.model_validate_json(await request.body() or b"{}")
        return self._dispatch(request, f"collection {request.path_params['id']}", asked)

    async def run_tests(self, request: Request) -> Response:
        """Start chosen tests."""
        asked = bodies.DispatchTests.model_validate_json(await request.body() or b"{}")
        return self._dispatch(request, "tests", asked)

    async def run_grep(self, request: Request) -> Response:
        """Start the tests that match, old form."""
        asked = bodies.DispatchGrep.model_validate_json(await request.body() or b"{}")
        return self._dispatch(request, "grep", asked)

    async def run_grep_v2(self, request: Request) -> Response:
        """Start the tests that match, on a branch."""
        asked = bodies.DispatchGrepV2.model_validate_json(await request.body() or b"{}")
        return self._dispatch(request, "grep", asked, version=2)

    def _dispatch(
        self,
        request: Request,
        kind: str,
        asked: bodies.Dispatch | bodies.DispatchGrep,
        version: int = 1,
    ) -> Response:
        v2 = asked if isinstance(asked, bodies.DispatchGrepV2) else None
        run = self._book.dispatch(
            kind=kind,
            version=version,
            asked=asked.model_dump(exclude_unset=True),
            heal=asked.order() if isinstance(asked, bodies.Dispatch) else None,
            pace_s=self.settings.pace,
            branch=v2.branch if v2 else None,
            sharded=v2 is not None and v2.shards is not None,
        )
        mark_effect(request)
        if run.name is not None and self.settings.dispatch_answer == "name":
            return JSONResponse({"name": run.name})
        return JSONResponse({"runId": run.run_id, "name": run.name, "sharded": run.name is None})

    async def show_status(self, request: Request) -> Response:
        """Status by job name, without the run's UUID."""
        run = self._book.find_job(request.path_params["name"])
        if run is None:
            raise self.refusal(404, "Job not found")
        return JSONResponse(self._status(run))

    async def show_status_v2(self, request: Request) -> Response:
        """Status by job name of a v2 run; names the run's UUID once it has ended."""
        run = self._book.find_job(request.path_params["name"])
        if run is None or run.version != 2:
            raise self.refusal(404, "Job not found")
        shown = self._status(run)
        if run.is_terminal(self.clock.seconds()):
            shown = {"testRunId": run.run_id, **shown}
            if run.batch and self.settings.show_batch_id:
                shown["batchId"] = run.batch.batch_id
        return JSONResponse(shown)

    def _status(self, run: Run) -> dict[str, object]:
        now_s = self.clock.seconds()
        counts = run.outcome.counts() if run.is_terminal(now_s) else {}
        return {"status": run.status(now_s), **counts}

    async def show_verdict(self, request: Request) -> Response:
        """Where the run with this UUID stands."""
        run = self._known_run(request)
        now_s = self.clock.seconds()
        ended, status = run.is_terminal(now_s), run.status(now_s)
        verdict = "pass" if status in {"passed", "healed"} else "fail"
        return JSONResponse(
            {
                "runId": run.run_id,
                "isTerminal": ended,
                "verdict": verdict if ended else "pending",
                "phase": status,
                "executedCount": len(run.outcome.results()) if ended else 0,
            }
        )

    async def show_latest(self, _: Request) -> Response:
        """The run that was started last."""
        run = self._book.latest_run()
        if run is None:
            raise self.refusal(404, "No test runs yet")
        created = {"createdAt": zulu(run.created_at)}
        return JSONResponse(
            {"id": run.run_id, "branch": run.branch, **self._status(run), **created}
        )

    async def show_results(self, request: Request) -> Response:
        """Counts and tests of a run; `status` filters the tests."""
        run = self._known_run(request)
        wanted = request.query_params.get("status")
        ended = run.is_terminal(self.clock.seconds())
        tests: list[TestResult] = run.outcome.results() if ended else []
        listed = [test.model_dump() for test in tests if wanted in {None, test.status}]
        head = {"id": run.run_id, "branch": run.branch}
        return JSONResponse({**head, **self._status(run), "tests": listed})

    async def show_report(self, request: Request) -> Response:
        """Address of the HTML report."""
        run = self._known_run(request)
        return JSONResponse({"url": f"{APP}/test-runs/{run.run_id}/report"})

    async def attachments(self, request: Request) -> Response:
        """Trace and screenshot of one test."""
        run, wanted = self._known_run(request), request.path_params["test"]
        if wanted not in {test.checksumTestId for test in run.outcome.results()}:
            raise self.refusal(404, "Test not found in this run")
        base = f"https://files.checksum.ai/{run.run_id}/{wanted}"
        return JSONResponse(
            [
                {"name": "trace.zip", "type": "trace", "url": f"{base}/trace.zip"},
                {"name": "failure.png", "type": "screenshot", "url": f"{base}/failure.png"},
            ]
        )

    async def list_bugs(self, request: Request) -> Response:
        """Bugs, filtered and paged."""
        wanted = request.query_params
        tags = set(wanted.getlist("tags"))
        found = [
            bug.model_dump()
            for bug in self._bugs
            if wanted.get("status") in {None, bug.status}
            and wanted.get("severity") in {None, bug.severity}
            and wanted.get("project") in {None, bug.project}
            and wanted.get("collectionName") in {None, bug.collectionName}
            and wanted.get("search", "").lower() in bug.title.lower()
            and tags <= set(bug.tags)
        ]
        try:
            offset, limit = int(wanted.get("offset", 0)), int(wanted.get("limit", 50))
        except ValueError as fault:
            raise self.refusal(400, "limit and offset are whole numbers") from fault
        return JSONResponse({"total": len(found), "bugs": found[offset : offset + limit]})

    async def generate(self, request: Request) -> Response:
        """Generate tests for a pull request."""
        asked = bodies.AutoGenerate.model_validate_json(await request.body() or b"{}")
        order = HealOrder(
            asked.repoName, creates_pr=True, branch=asked.branch, pr_number=asked.prNumber
        )
        batch = self._book.generate(order, pace_s=self.settings.pace)
        mark_effect(request)
        session = batch.session_ids[0]
        links = {"session": f"{APP}/sessions/{session}"}
        answer = {"batchId": batch.batch_id, "sessionId": session, "links": links}
        return JSONResponse(answer, 202)

    async def show_generation(self, request: Request) -> Response:
        """Progress of a generation."""
        return self._show_batch(request, "generate")

    async def heal(self, request: Request) -> Response:
        """Heal a failed run, named by its UUID."""
        asked = bodies.AutoHeal.model_validate_json(await request.body() or b"{}")
        run = self._book.find_run(str(asked.testRunId))
        if run is None:
            raise self.refusal(404, "Test run not found")
        if not run.is_terminal(self.clock.seconds()):
            raise self.refusal(400, "Test run is still in progress")
        failed = [test for test in run.outcome.results() if test.status == "failed"]
        if not failed:
            raise self.refusal(400, "Test run has no failed tests to heal")
        batch = self._book.heal(
            run,
            asked.order(),
            pace_s=self.settings.pace,
            per_failure=self.settings.sessions == "per-failure",
            began_s=None,
        )
        mark_effect(request)
        return JSONResponse(
            {
                "batchId": batch.batch_id,
                "sessionIds": batch.session_ids,
                "failureCount": len(failed),
                "testIds": batch.test_ids,
                "testRunUrl": f"{APP}/test-runs/{run.run_id}",
                "sessionUrl": f"{APP}/sessions/{batch.session_ids[0]}",
            }
        )

    async def show_heal(self, request: Request) -> Response:
        """Progress of a heal."""
        return self._show_batch(request, "heal")

    def _show_batch(self, request: Request, kind: str) -> Response:
        batch: Batch | None = self._book.find_batch(request.path_params["id"], kind=kind)
        if batch is None:
            raise self.refusal(404, "Batch not found")
        return JSONResponse(batch.show(self.clock.seconds()))

    def _known_run(self, request: Request) -> Run:
        run = self._book.find_run(request.path_params["id"])
        if run is None:
            raise self.refusal(404, "Test run not found")
        return run

    async def script(self, request: Request) -> Response:
        """Lever: how the next runs and heals end."""
        self._outcomes.follow(Script.model_validate_json(await request.body()))
        return JSONResponse({"scripted": True})

    async def add_run(self, request: Request) -> Response:
        """Lever: add a run that has ended already."""
        asked = AddedRun.model_validate_json(await request.body())
        run = self._book.add_finished(
            asked, branch=asked.branch, run_id=str(asked.id) if asked.id else None
        )
        return JSONResponse({"id": run.run_id, "name": run.name}, 201)

    async def add_bug(self, request: Request) -> Response:
        """Lever: add a bug to the health dashboard."""
        bug = Bug.model_validate_json(await request.body() or b"{}")
        self._bugs.append(bug)
        return JSONResponse(bug.model_dump(), 201)
