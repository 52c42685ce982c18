"""Generating tests for a pull request and healing failed runs (reference 5.5, 5.6)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checksum import bodies
from examples.twins.checksum.project import APP, V1, Project, refusal
from examples.twins.record import mark_effect


class Healing:
    """The `auto-generate` and `auto-heal` calls.

    The vendor has no idempotency: a second heal of one run makes a second batch.
    """

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        get, post = ["GET"], ["POST"]
        return (
            Route(f"{V1}/auto-generate", self.generate, methods=post),
            Route(f"{V1}/auto-generate/batch/{{id}}", self.show_generation, methods=get),
            Route(f"{V1}/auto-heal", self.heal, methods=post),
            Route(f"{V1}/auto-heal/batch/{{id}}", self.show_heal, methods=get),
        )

    async def generate(self, request: Request) -> Response:
        """Generate tests for a pull request."""
        asked = bodies.AutoGenerate.model_validate_json(await request.body() or b"{}")
        pace_s = self._project.settings.pace
        batch = self._project.book.generate(asked.order(), pace_s=pace_s)
        mark_effect(request)
        session = batch.session_ids[0]
        links = {"session": f"{APP}/sessions/{session}"}
        answer = {"batchId": batch.batch_id, "sessionId": session, "links": links}
        return JSONResponse(answer, 202)

    async def heal(self, request: Request) -> Response:
        """Heal a failed run, named by its UUID."""
        asked = bodies.AutoHeal.model_validate_json(await request.body() or b"{}")
        run = self._project.book.find_run(str(asked.testRunId))
        if run is None:
            raise refusal(404, "Test run not found")
        if not run.is_terminal(self._project.clock.seconds()):
            raise refusal(400, "Test run is still in progress")
        failed = [test for test in run.outcome.results() if test.status == "failed"]
        if not failed:
            raise refusal(400, "Test run has no failed tests to heal")
        batch = self._project.book.heal(
            run,
            asked.order(),
            pace_s=self._project.settings.pace,
            per_failure=self._project.settings.sessions == "per-failure",
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

    async def show_generation(self, request: Request) -> Response:
        """Progress of a generation."""
        return self._show_batch(request, "generate")

    async def show_heal(self, request: Request) -> Response:
        """Progress of a heal."""
        return self._show_batch(request, "heal")

    def _show_batch(self, request: Request, kind: str) -> Response:
        batch = self._project.book.find_batch(request.path_params["id"], kind=kind)
        if batch is None:
            raise refusal(404, "Batch not found")
        return JSONResponse(batch.show(self._project.clock.seconds()))
