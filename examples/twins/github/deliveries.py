"""Deliveries of a repository's webhook, and sending one again (reference 6.1)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.github.account import Account, refusal
from examples.twins.github.hooks import HOOK_ID, Delivery
from examples.twins.github.paging import answer_page
from examples.twins.record import mark_effect


class Deliveries:
    """The calls about the one hook each repository has."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        base = "/repos/{owner}/{repo}/hooks/{hook:int}/deliveries"
        return (
            Route(base, self.list_deliveries, methods=["GET"]),
            Route(f"{base}/{{id:int}}", self.show_delivery, methods=["GET"]),
            Route(f"{base}/{{id:int}}/attempts", self.redeliver, methods=["POST"]),
        )

    async def list_deliveries(self, request: Request) -> Response:
        """Deliveries, newest first."""
        self._known_hook(request)
        rows = [one.show(full=False) for one in self._account.hook.newest_first()]
        return answer_page(rows, request)

    async def show_delivery(self, request: Request) -> Response:
        """One delivery with request and response."""
        return JSONResponse(self._known_delivery(request).show(full=True))

    async def redeliver(self, request: Request) -> Response:
        """Send a past delivery again under the same GUID."""
        delivery = self._known_delivery(request)
        if not self._account.hook.can_redeliver(delivery):
            raise refusal(422, "The delivery is too old to be redelivered")
        mark_effect(request)
        await self._account.hook.redeliver(
            delivery, receiver=delivery.url, secret=self._account.settings.secret
        )
        return JSONResponse({}, 202)

    def _known_hook(self, request: Request) -> None:
        self._account.known_repo(request)
        if request.path_params["hook"] != HOOK_ID:
            raise refusal(404, "Not Found")

    def _known_delivery(self, request: Request) -> Delivery:
        self._known_hook(request)
        delivery = self._account.hook.find(request.path_params["id"])
        if delivery is None:
            raise refusal(404, "Not Found")
        return delivery
