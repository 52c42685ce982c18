"""What the app asks about itself, and the tokens it gets for its installation."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.clock import zulu
from examples.twins.github.account import Account
from examples.twins.github.refusals import refusal


class App:
    """The calls that want the app's own web token."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        tokens = "/app/installations/{id:int}/access_tokens"
        return (
            Route("/app", self.show, methods=["GET"]),
            Route(tokens, self.issue_token, methods=["POST"]),
        )

    async def show(self, _: Request) -> Response:
        """Who the app is."""
        settings = self._account.settings
        return JSONResponse(
            {"id": int(settings.app_id), "slug": settings.app_slug, "name": "Hookwright QA"}
        )

    async def issue_token(self, request: Request) -> Response:
        """Give a token of the installation that is good for an hour."""
        if request.path_params["id"] != self._account.settings.installation_id:
            raise refusal(404, "Not Found")
        token, ends = self._account.callers.issue()
        permissions = {"checks": "write", "contents": "write", "issues": "write"}
        body = {"token": token, "expires_at": zulu(ends), "permissions": permissions}
        return JSONResponse(body, 201)
