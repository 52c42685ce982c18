"""Records of runs, and runs by the AI on a session (reference 1.4)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.vibeview import bodies
from examples.twins.vibeview.announcer import Announcer
from examples.twins.vibeview.organisation import API, Organisation, refusal
from examples.twins.vibeview.runs import Run
from examples.twins.vibeview.suites import Suite

CHANGEABLE = frozenset({"pending", "running", "passed", "failed", "error"})
REQUESTED = {"status": "cancellation_requested"}


class Records:
    """Runs beyond those of CI calls."""

    def __init__(self, organisation: Organisation, announcer: Announcer) -> None:
        self._organisation = organisation
        self._announcer = announcer

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        run, get, post = f"{API}/tests/runs/{{id}}", ["GET"], ["POST"]
        return (
            Route(run, self.show, methods=get),
            Route(run, self.change, methods=["PATCH"]),
            Route(f"{run}/cancel", self.cancel, methods=post),
            Route(f"{API}/tests/suite-runs/{{id}}", self.show_suite_run, methods=get),
            Route(f"{API}/ai/test/run", self.run_test, methods=post),
            Route(f"{API}/ai/suite/run", self.run_suite, methods=post),
            Route(f"{API}/ai/suite/run/{{number:int}}/cancel", self.cancel_suite, methods=post),
        )

    async def show(self, request: Request) -> Response:
        """The record of a test run."""
        return JSONResponse(self._test_run(request).record(self._now_s()))

    async def change(self, request: Request) -> Response:
        """Write into the record of a test run."""
        run, asked = self._test_run(request), request.query_params
        status = asked.get("status")
        if status is not None and status not in CHANGEABLE:
            raise refusal(422, "status is not one of pending, running, passed, failed, error")
        run.written |= {name: value for name, value in asked.items() if name != "result_json"}
        if "result_json" in asked:
            run.written["result"] = asked["result_json"]
        if "duration_ms" in asked:
            run.written["duration_ms"] = int(asked["duration_ms"])
        mark_effect(request)
        return JSONResponse(run.record(self._now_s()))

    async def cancel(self, request: Request) -> Response:
        """Ask for the end of a test run."""
        return self._cancel(request, self._test_run(request))

    async def show_suite_run(self, request: Request) -> Response:
        """The record of a suite run."""
        run = self._organisation.book.runs.get(request.path_params["id"])
        if run is None or run.kind != "suite_run":
            raise refusal(404, "Suite run not found")
        return JSONResponse(run.suite_record(self._now_s()))

    async def run_test(self, request: Request) -> Response:
        """Let the AI run a case."""
        asked = bodies.RunAITest.model_validate_json(await request.body() or b"{}")
        library = self._organisation.library
        case = next(
            (
                one
                for one in library.cases.values()
                if asked.test_case_public_id == one.public_id or asked.test_case_id == one.number
            ),
            None,
        )
        suite = self._organisation.book.suites.get((case.suite_id or "") if case else "")
        if case is None or suite is None:
            raise refusal(404, "Test case not found")
        run = self._start(request, suite, "test_run", (case.name,), asked)
        return JSONResponse(
            {
                "run_id": run.number,
                "run_public_id": run.run_id,
                "status": "started",
                "message": "Test started",
                "warnings": [],
            }
        )

    async def run_suite(self, request: Request) -> Response:
        """Let the AI run a suite."""
        asked = bodies.RunAISuite.model_validate_json(await request.body() or b"{}")
        suite = self._organisation.book.suites.get(asked.suite_public_id or "")
        if suite is None:
            raise refusal(404, "Suite not found")
        run = self._start(request, suite, "suite_run", suite.cases, asked)
        shown = {"suite_run_id": run.number, "suite_run_public_id": run.run_id}
        return JSONResponse({**shown, "status": "pending"})

    async def cancel_suite(self, request: Request) -> Response:
        """Ask for the end of a suite run, by its number."""
        number = request.path_params["number"]
        for run in self._organisation.book.runs.values():
            if run.kind == "suite_run" and run.number == number:
                return self._cancel(request, run)
        raise refusal(404, "Suite run not found")

    def _cancel(self, request: Request, run: Run) -> Response:
        if run.is_terminal(self._now_s()):
            raise refusal(400, "Run is not active")
        run.cancelled = True
        mark_effect(request)
        return JSONResponse(REQUESTED)

    def _start(
        self,
        request: Request,
        suite: Suite,
        kind: str,
        names: tuple[str, ...],
        asked: bodies.RunAITest | bodies.RunAISuite,
    ) -> Run:
        organisation = self._organisation
        if asked.session_id not in organisation.sessions.sessions:
            raise refusal(404, "Session not found")
        run = organisation.book.start(
            suite,
            kind=kind,
            names=names,
            asked=asked.model_dump(),
            pace_s=organisation.settings.pace,
        )
        mark_effect(request)
        self._announcer.follow(run)
        return run

    def _test_run(self, request: Request) -> Run:
        run = self._organisation.book.runs.get(request.path_params["id"])
        if run is None or run.kind != "test_run":
            raise refusal(404, "Test run not found")
        return run

    def _now_s(self) -> float:
        return self._organisation.clock.seconds()
