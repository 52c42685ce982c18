"""What came of runs: results, report, attachments, bugs (reference 5.4)."""

from collections.abc import Sequence

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checksum.outcomes import TestResult
from examples.twins.checksum.project import APP, V1, Bug, Project, refusal
from examples.twins.clock import zulu

USUAL_PAGE = 50


class Results:
    """The `test-runs` and `health-dashboard` calls."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        runs, get = f"{V1}/test-runs", ["GET"]
        return (
            Route(f"{runs}/latest", self.show_latest, methods=get),
            Route(f"{runs}/{{id}}/results", self.show_results, methods=get),
            Route(f"{runs}/{{id}}/report", self.show_report, methods=get),
            Route(f"{runs}/{{id}}/tests/{{test}}/attachments", self.attachments, methods=get),
            Route(f"{V1}/health-dashboard/bugs", self.list_bugs, methods=get),
        )

    async def show_latest(self, _: Request) -> Response:
        """The run that was started last."""
        run = self._project.book.latest_run()
        if run is None:
            raise refusal(404, "No test runs yet")
        return JSONResponse(
            {
                "id": run.run_id,
                "branch": run.branch,
                "createdAt": zulu(run.created_at),
                **self._project.show_status(run),
            }
        )

    async def show_results(self, request: Request) -> Response:
        """Counts and tests of a run; `status` filters the tests."""
        run = self._project.known_run(request)
        wanted = request.query_params.get("status")
        ended = run.is_terminal(self._project.clock.seconds())
        tests: list[TestResult] = run.outcome.results() if ended else []
        return JSONResponse(
            {
                "id": run.run_id,
                "branch": run.branch,
                **self._project.show_status(run),
                "tests": [test.model_dump() for test in tests if wanted in {None, test.status}],
            }
        )

    async def show_report(self, request: Request) -> Response:
        """Address of the HTML report."""
        run = self._project.known_run(request)
        return JSONResponse({"url": f"{APP}/test-runs/{run.run_id}/report"})

    async def attachments(self, request: Request) -> Response:
        """Trace and screenshot of one test."""
        run, wanted = self._project.known_run(request), request.path_params["test"]
        if wanted not in {test.checksumTestId for test in run.outcome.results()}:
            raise refusal(404, "Test not found in this run")
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
        found = [bug.show() for bug in self._project.bugs if _is_wanted(bug, wanted)]
        try:
            offset, limit = int(wanted.get("offset", 0)), int(wanted.get("limit", USUAL_PAGE))
        except ValueError as fault:
            raise refusal(400, "limit and offset are whole numbers") from fault
        return JSONResponse({"total": len(found), "bugs": found[offset : offset + limit]})


def _is_wanted(bug: Bug, wanted: QueryParams) -> bool:
    exact = {
        "status": bug.status,
        "severity": bug.severity,
        "project": bug.project,
        "collectionName": bug.collectionName,
    }
    return (
        all(wanted.get(name) in {None, value} for name, value in exact.items())
        and wanted.get("search", "").lower() in bug.title.lower()
        and set(wanted.getlist("tags")) <= set(bug.tags)
    )
