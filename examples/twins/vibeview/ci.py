"""CI calls, and what can be read about suites and runs (reference 1.3, 1.4)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.vibeview import bodies
from examples.twins.vibeview.announcer import Announcer
from examples.twins.vibeview.organisation import API, Organisation, refusal
from examples.twins.vibeview.suites import Suite

# Builds by id: whether they belong to the app under test.
BUILDS = {7: True, 8: False}


class CI:
    """Starting runs and following them."""

    def __init__(self, organisation: Organisation, announcer: Announcer) -> None:
        self._organisation = organisation
        self._announcer = announcer

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        get, post = ["GET"], ["POST"]
        return (
            Route(f"{API}/ci/run-suite", self.run_suite, methods=post),
            Route(f"{API}/ci/run-test", self.run_test, methods=post),
            Route(f"{API}/ci/run-suites", self.run_suites, methods=post),
            Route(f"{API}/ci/runs/{{id}}", self.show_run, methods=get),
            Route(f"{API}/ci/list-suites", self.list_suites, methods=get),
            Route(f"{API}/ci/multi-suite-runs/{{id}}", self.show_multi_run, methods=get),
            Route(f"{API}/tests/suites", self.list_test_suites, methods=get),
        )

    async def run_suite(self, request: Request) -> Response:
        """Start a suite."""
        asked = bodies.RunSuite.model_validate_json(await request.body() or b"{}")
        suite = self._organisation.book.suites.get(asked.suite_id)
        if suite is None:
            raise refusal(404, "Suite not found")
        return self._start(request, asked, suite, "suite_run", suite.cases)

    async def run_test(self, request: Request) -> Response:
        """Start one test."""
        asked = bodies.RunTest.model_validate_json(await request.body() or b"{}")
        found = self._organisation.book.find_test(asked.test_id)
        if found is None:
            raise refusal(404, "Test not found")
        suite, name = found
        return self._start(request, asked, suite, "test_run", (name,))

    async def run_suites(self, request: Request) -> Response:
        """Start every suite with these tags."""
        asked = bodies.RunSuites.model_validate_json(await request.body() or b"{}")
        book = self._organisation.book
        suites = book.matching(list(asked.tags), asked.match)
        if not suites:
            raise refusal(404, "No suites matched the given tags")
        _check_build(asked.build_id)
        pace_s = self._organisation.settings.pace
        multi = book.start_all(suites, asked=asked.model_dump(), pace_s=pace_s)
        mark_effect(request)
        for run in multi.runs:
            self._announcer.follow(run)
        return JSONResponse(
            {
                "aggregate_id": multi.public_id,
                "matched_suite_ids": [suite.suite_id for suite in suites],
                "status_url": f"{API}/ci/multi-suite-runs/{multi.public_id}",
            }
        )

    async def show_run(self, request: Request) -> Response:
        """A run of either kind."""
        run = self._organisation.book.runs.get(request.path_params["id"])
        if run is None:
            raise refusal(404, "Run not found")
        return JSONResponse(run.show(self._organisation.clock.seconds()))

    async def show_multi_run(self, request: Request) -> Response:
        """A run of several suites."""
        multi = self._organisation.book.multi_runs.get(request.path_params["id"])
        if multi is None:
            raise refusal(404, "Multi-suite run not found")
        return JSONResponse(multi.show(self._organisation.clock.seconds()))

    async def list_suites(self, request: Request) -> Response:
        """Suites as CI calls list them."""
        return JSONResponse(
            [
                {
                    "id": suite.suite_id,
                    "name": suite.name,
                    "platform": suite.platform,
                    "case_count": len(suite.cases),
                    "description": None,
                    "tags": suite.show_tags(),
                }
                for suite in self._wanted_suites(request)
            ]
        )

    async def list_test_suites(self, request: Request) -> Response:
        """Suites with their last run."""
        now_s = self._organisation.clock.seconds()
        rows: list[dict[str, object]] = []
        for suite in self._wanted_suites(request):
            runs = [run for run in self._organisation.book.runs.values() if run.suite == suite]
            last = runs[-1].show(now_s) if runs else {}
            rows.append(
                {
                    "public_id": suite.suite_id,
                    "name": suite.name,
                    "case_count": len(suite.cases),
                    "reset_strategy": "relaunch",
                    "last_run_status": last.get("status"),
                    "last_run_at": last.get("started_at"),
                    "tags": suite.show_tags(),
                }
            )
        return JSONResponse(rows)

    def _start(
        self,
        request: Request,
        asked: bodies.RunSuite | bodies.RunTest,
        suite: Suite,
        kind: str,
        names: tuple[str, ...],
    ) -> Response:
        _check_build(asked.build_id)
        run = self._organisation.book.start(
            suite,
            kind=kind,
            names=names,
            asked=asked.model_dump(),
            pace_s=self._organisation.settings.pace,
        )
        mark_effect(request)
        self._announcer.follow(run)
        return JSONResponse({"run_id": run.run_id, "status": "pending"})

    def _wanted_suites(self, request: Request) -> list[Suite]:
        tags = [tag for tag in request.query_params.get("tags", "").split(",") if tag]
        match = request.query_params.get("match", "any")
        return self._organisation.book.matching(tags, match)


def _check_build(build_id: int | None) -> None:
    if build_id is not None and build_id not in BUILDS:
        raise refusal(404, "Build not found")
    if build_id is not None and not BUILDS[build_id]:
        raise refusal(403, "Build belongs to another app")
