"""Starting runs and asking where they stand (reference 5.3, 5.4)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checksum import bodies
from examples.twins.checksum.project import V1, V2, Project, refusal
from examples.twins.record import mark_effect


class Execution:
    """The `execution` calls of both versions."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        base, status = f"{V1}/execution", f"{V1}/execution/status"
        get, post = ["GET"], ["POST"]
        return (
            Route(f"{base}/suite", self.run_suite, methods=post),
            Route(f"{base}/collection/{{id}}", self.run_collection, methods=post),
            Route(f"{base}/tests", self.run_tests, methods=post),
            Route(f"{base}/grep", self.run_grep, methods=post),
            Route(f"{V2}/execution/grep", self.run_grep_v2, methods=post),
            Route(f"{V1}/affected-tests", self.select_tests, methods=post),
            Route(f"{status}/run/{{id}}", self.show_verdict, methods=get),
            Route(f"{status}/{{name}}", self.show_status, methods=get),
            Route(f"{V2}/execution/status/{{name}}", self.show_status_v2, methods=get),
        )

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

    async def select_tests(self, request: Request) -> Response:
        """The tests that a change affects: one for each file that changed. Nothing is started."""
        asked = bodies.AffectedTests.model_validate_json(await request.body() or b"{}")
        tests = [f"test-{number:03d}" for number in range(1, len(asked.changedFiles) + 1)]
        return JSONResponse({"testIds": tests})

    async def show_status(self, request: Request) -> Response:
        """Status by job name, without the run's UUID."""
        run = self._project.book.find_job(request.path_params["name"])
        if run is None:
            raise refusal(404, "Job not found")
        return JSONResponse(self._project.show_status(run))

    async def show_status_v2(self, request: Request) -> Response:
        """Status by job name of a v2 run; names the run's UUID once it has ended."""
        run = self._project.book.find_job(request.path_params["name"])
        if run is None or run.version != 2:
            raise refusal(404, "Job not found")
        shown = self._project.show_status(run)
        if run.is_terminal(self._project.clock.seconds()):
            shown = {"testRunId": run.run_id, **shown}
            if run.batch and self._project.settings.show_batch_id:
                shown["batchId"] = run.batch.batch_id
        return JSONResponse(shown)

    async def show_verdict(self, request: Request) -> Response:
        """Where the run with this UUID stands."""
        run = self._project.known_run(request)
        now_s = self._project.clock.seconds()
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

    def _dispatch(
        self,
        request: Request,
        kind: str,
        asked: bodies.Dispatch | bodies.DispatchGrep,
        version: int = 1,
    ) -> Response:
        v2 = asked if isinstance(asked, bodies.DispatchGrepV2) else None
        run = self._project.book.dispatch(
            kind=kind,
            version=version,
            asked=asked.model_dump(exclude_unset=True),
            heal=asked.order() if isinstance(asked, bodies.Dispatch) else None,
            pace_s=self._project.settings.pace,
            branch=v2.branch if v2 else None,
            sharded=v2 is not None and v2.shards is not None,
        )
        mark_effect(request)
        if run.name is not None and self._project.settings.dispatch_answer == "name":
            return JSONResponse({"name": run.name})
        return JSONResponse({"runId": run.run_id, "name": run.name, "sharded": run.name is None})
