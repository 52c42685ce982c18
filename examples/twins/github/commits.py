"""Commits, their pull requests and statuses, and what starts a workflow (reference 6.2)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.clock import zulu
from examples.twins.github.account import Account
from examples.twins.github.addresses import show_user
from examples.twins.github.bodies import DispatchBody, StatusBody
from examples.twins.github.callers import caller_of
from examples.twins.github.paging import answer_page
from examples.twins.github.refusals import refusal, validation_failed
from examples.twins.record import mark_effect

MAX_DESCRIPTION_CHARS = 140
MAX_PAYLOAD_MEMBERS = 10
MAX_PAYLOAD_BYTES = 65536


class Commits:
    """The calls about commits and pull requests."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        repo, get, post = "/repos/{owner}/{repo}", ["GET"], ["POST"]
        return (
            Route(f"{repo}/commits/{{sha}}/pulls", self.pulls_of_commit, methods=get),
            Route(f"{repo}/commits/{{sha}}/statuses", self.list_statuses, methods=get),
            Route(f"{repo}/pulls/{{number:int}}", self.show_pull, methods=get),
            Route(f"{repo}/statuses/{{sha}}", self.set_status, methods=post),
            Route(f"{repo}/dispatches", self.dispatch, methods=post),
        )

    async def pulls_of_commit(self, request: Request) -> Response:
        """Pull requests that hold a commit."""
        repo, sha = self._account.known_commit(request)
        pulls = self._account.store.pulls.values()
        held = [pull.show() for pull in pulls if pull.repo == repo and pull.holds(sha)]
        return answer_page(held, request)

    async def show_pull(self, request: Request) -> Response:
        """One pull request."""
        pull = self._account.store.pulls.get(self._account.known_issue(request))
        if pull is None:
            raise refusal(404, "Not Found")
        return JSONResponse(pull.show())

    async def list_statuses(self, request: Request) -> Response:
        """Statuses of a commit, newest first."""
        place = self._account.known_commit(request)
        statuses = reversed(self._account.store.statuses)
        held = [one for one in statuses if (one["repo"], one["sha"]) == place]
        return answer_page(held, request)

    async def set_status(self, request: Request) -> Response:
        """Put a status on a commit."""
        repo, sha = self._account.known_commit(request)
        asked = StatusBody.model_validate_json(await request.body() or b"{}")
        if len(asked.description or "") > MAX_DESCRIPTION_CHARS:
            limit = f"description is too long (maximum is {MAX_DESCRIPTION_CHARS} characters)"
            raise validation_failed("Status", "description", limit)
        statuses = self._account.store.statuses
        status: dict[str, object] = {
            "id": 5000000 + len(statuses),
            "repo": repo,
            "sha": sha,
            "creator": show_user(caller_of(request).login),
            "created_at": zulu(self._account.clock.now()),
            **asked.model_dump(),
        }
        statuses.append(status)
        mark_effect(request)
        return JSONResponse(status, 201)

    async def dispatch(self, request: Request) -> Response:
        """Start workflows that listen to a dispatch."""
        repo = self._account.known_repo(request)
        raw = await request.body()
        asked = DispatchBody.model_validate_json(raw or b"{}")
        members = len(asked.client_payload)
        if members > MAX_PAYLOAD_MEMBERS:
            allowed = f"No more than {MAX_PAYLOAD_MEMBERS} properties are allowed"
            raise refusal(422, f"Invalid request.\n\n{allowed}; {members} were supplied.")
        if len(raw) > MAX_PAYLOAD_BYTES:
            raise refusal(422, "client_payload is too large.")
        self._account.store.dispatches.append({"repo": repo, **asked.model_dump()})
        mark_effect(request)
        return Response(status_code=204)
