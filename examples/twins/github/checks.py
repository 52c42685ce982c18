"""Check runs, which only apps may write (reference 6.2)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.github.account import Account
from examples.twins.github.bodies import CheckRunBody, CheckRunChange
from examples.twins.github.callers import caller_of
from examples.twins.github.check_run import CheckRun
from examples.twins.github.paging import page_of
from examples.twins.github.refusals import refusal
from examples.twins.record import mark_effect


class Checks:
    """The calls about check runs."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        repo = "/repos/{owner}/{repo}"
        return (
            Route(f"{repo}/check-runs", self.create, methods=["POST"]),
            Route(f"{repo}/check-runs/{{id:int}}", self.show, methods=["GET"]),
            Route(f"{repo}/check-runs/{{id:int}}", self.edit, methods=["PATCH"]),
            Route(f"{repo}/commits/{{sha}}/check-runs", self.of_commit, methods=["GET"]),
        )

    async def create(self, request: Request) -> Response:
        """Begin a check run."""
        repo = self._account.known_repo(request)
        self._must_be_app(request)
        asked = CheckRunBody.model_validate_json(await request.body() or b"{}")
        if not self._account.store.knows_commit(repo, asked.head_sha):
            raise refusal(422, f"No commit found for SHA: {asked.head_sha}")
        runs = self._account.store.check_runs
        run = CheckRun(
            4000000 + len(runs),
            repo,
            asked.head_sha,
            self._account.settings.app_slug,
            self._account.clock.now(),
            {"status": "queued"},
        )
        run.change(asked)
        runs[run.number] = run
        mark_effect(request)
        return JSONResponse(run.show(), 201)

    async def edit(self, request: Request) -> Response:
        """Change a check run."""
        run = self._known_run(request)
        self._must_be_app(request)
        run.change(CheckRunChange.model_validate_json(await request.body() or b"{}"))
        mark_effect(request)
        return JSONResponse(run.show())

    async def show(self, request: Request) -> Response:
        """One check run."""
        return JSONResponse(self._known_run(request).show())

    async def of_commit(self, request: Request) -> Response:
        """Check runs of a commit, newest first, those of one name if asked."""
        repo, sha = self._account.known_commit(request)
        name = request.query_params.get("check_name")
        found = [
            run.show()
            for run in reversed(self._account.store.check_runs.values())
            if (run.repo, run.head_sha) == (repo, sha) and name in {None, run.figures["name"]}
        ]
        shown, link = page_of(found, request)
        headers = {"link": link} if link else None
        return JSONResponse({"total_count": len(found), "check_runs": shown}, headers=headers)

    def _known_run(self, request: Request) -> CheckRun:
        repo = self._account.known_repo(request)
        run = self._account.store.check_runs.get(request.path_params["id"])
        if run is None or run.repo != repo:
            raise refusal(404, "Not Found")
        return run

    def _must_be_app(self, request: Request) -> None:
        if caller_of(request).kind != "installation":
            raise refusal(403, "You must authenticate via a GitHub App.")
