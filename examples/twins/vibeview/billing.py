"""Credit and usage (reference 1.5)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.vibeview.bodies import TopUp
from examples.twins.vibeview.credits import BUNDLES, CUSTOM_MAX_MICRO, CUSTOM_MIN_MICRO
from examples.twins.vibeview.organisation import API, Organisation, refusal
from examples.twins.vibeview.queries import figure

MAX_LEDGER_ROWS = 100
USUAL_LEDGER_ROWS = 50


class Billing:
    """The `credits` and `usage` calls."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        return (
            Route(f"{API}/credits/balance", self.show_balance, methods=["GET"]),
            Route(f"{API}/credits/ledger", self.show_ledger, methods=["GET"]),
            Route(f"{API}/credits/topup", self.top_up, methods=["POST"]),
            Route(f"{API}/usage/dashboard", self.show_usage, methods=["GET"]),
        )

    async def show_balance(self, _: Request) -> Response:
        """The credit that is left."""
        return JSONResponse(self._organisation.credits.balance())

    async def show_ledger(self, request: Request) -> Response:
        """A page of the ledger, newest first."""
        limit = figure(request, "limit", usual=USUAL_LEDGER_ROWS, low=1, high=MAX_LEDGER_ROWS)
        offset = figure(request, "offset", usual=0, low=0)
        return JSONResponse(self._organisation.credits.ledger(limit=limit, offset=offset))

    async def top_up(self, request: Request) -> Response:
        """A link where a person pays; the balance changes only then."""
        asked = TopUp.model_validate_json(await request.body() or b"{}")
        if (asked.bundle_key is None) == (asked.amount_usd is None):
            raise refusal(400, "Provide exactly one of bundle_key or amount_usd")
        if asked.bundle_key is not None and asked.bundle_key not in BUNDLES:
            raise refusal(400, "Unknown bundle")
        micro = (asked.amount_usd or 0) * 1_000_000
        in_bounds = CUSTOM_MIN_MICRO <= micro <= CUSTOM_MAX_MICRO
        if asked.amount_usd is not None and not in_bounds:
            raise refusal(400, "amount_usd is out of bounds")
        mark_effect(request)
        return JSONResponse({"url": "https://checkout.stripe.com/c/pay/cs_test_twin"})

    async def show_usage(self, _: Request) -> Response:
        """The dashboard's figures."""
        runs = len(self._organisation.book.runs)
        return JSONResponse(self._organisation.credits.usage(runs=runs))
