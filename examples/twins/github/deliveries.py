"""Deliveries of a repository's, an organisation's and the app's webhook (reference 6.1)."""

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.github.account import Account
from examples.twins.github.hooks import Delivery, Hook
from examples.twins.github.paging import page_size
from examples.twins.github.refusals import refusal
from examples.twins.record import mark_effect

CURSOR = re.compile(r"v1_(\d{1,18})")


class Deliveries:
    """The calls about the one hook each repository, each organisation and the app has."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        found: list[Route] = []
        for base in (
            "/repos/{owner}/{repo}/hooks/{hook:int}/deliveries",
            "/orgs/{organization}/hooks/{hook:int}/deliveries",
            "/app/hook/deliveries",
        ):
            found += [
                Route(base, self.list_deliveries, methods=["GET"]),
                Route(f"{base}/{{id:int}}", self.show_delivery, methods=["GET"]),
                Route(f"{base}/{{id:int}}/attempts", self.redeliver, methods=["POST"]),
            ]
        return found

    async def list_deliveries(self, request: Request) -> Response:
        """Deliveries, newest first; a page goes on where its cursor says."""
        rows = self._known_hook(request).newest_first()
        given = request.query_params.get("cursor")
        if given is not None:
            cursor = CURSOR.fullmatch(given)
            if cursor is None:
                raise refusal(422, "Invalid cursor")
            rows = [row for row in rows if row.delivery_id <= int(cursor[1])]
        size = page_size(request)
        headers = {}
        if len(rows) > size:
            address = request.url.include_query_params(
                cursor=f"v1_{rows[size].delivery_id}", per_page=size
            )
            headers["link"] = f'<{address}>; rel="next"'
        return JSONResponse([row.show(full=False) for row in rows[:size]], headers=headers)

    async def show_delivery(self, request: Request) -> Response:
        """One delivery with request and response."""
        _, delivery = self._known_delivery(request)
        return JSONResponse(delivery.show(full=True))

    async def redeliver(self, request: Request) -> Response:
        """Send a past delivery again under the same GUID."""
        hook, delivery = self._known_delivery(request)
        if not hook.can_redeliver(delivery):
            raise refusal(422, "The delivery is too old to be redelivered")
        mark_effect(request)
        settings = self._account.settings
        receiver = settings.receiver or delivery.url
        await hook.redeliver(delivery, receiver=receiver, secret=settings.secret)
        return JSONResponse({}, 202)

    def _known_hook(self, request: Request) -> Hook:
        hooks, given = self._account.hooks, request.path_params
        if "repo" in given:
            self._account.known_repo(request)
            hook = hooks["repository"]
        elif "organization" in given:
            if given["organization"] != self._account.settings.organization:
                raise refusal(404, "Not Found")
            hook = hooks["organization"]
        else:
            return hooks["integration"]
        if given["hook"] != hook.hook_id:
            raise refusal(404, "Not Found")
        return hook

    def _known_delivery(self, request: Request) -> tuple[Hook, Delivery]:
        hook = self._known_hook(request)
        delivery = hook.find(request.path_params["id"])
        if delivery is None:
            raise refusal(404, "Not Found")
        return hook, delivery
