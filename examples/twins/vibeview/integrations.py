"""Management of the webhook (reference 1.1); bodies of these calls are assumed."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.vibeview.bodies import Subscriptions
from examples.twins.vibeview.events import EVENT_TYPES, show_catalog
from examples.twins.vibeview.organisation import API, Organisation, refusal
from examples.twins.vibeview.queries import figure
from examples.twins.vibeview.webhook import Webhook, make_secret

WEBHOOK_ID = "1"
# Whether this list has pages is not published; assumed as of the ledger.
USUAL_ROWS = 50
MAX_ROWS = 100


class Integrations:
    """The `integrations` calls about the one webhook that was set up in the web application."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        hook, post = f"{API}/integrations/webhooks/{{id}}", ["POST"]
        resend = f"{hook}/deliveries/{{delivery}}/redeliver"
        return (
            Route(f"{API}/integrations/events/catalog", self.show_catalog, methods=["GET"]),
            Route(f"{API}/integrations/webhooks", self.list_webhooks, methods=["GET"]),
            Route(f"{hook}/subscriptions", self.show_subscriptions, methods=["GET"]),
            Route(f"{hook}/subscriptions", self.replace_subscriptions, methods=["PUT"]),
            Route(f"{hook}/regenerate-secret", self.regenerate_secret, methods=post),
            Route(f"{hook}/deliveries", self.list_deliveries, methods=["GET"]),
            Route(resend, self.redeliver, methods=post),
        )

    async def show_catalog(self, _: Request) -> Response:
        """Every event type."""
        return JSONResponse(show_catalog())

    async def list_webhooks(self, _: Request) -> Response:
        """The one webhook; the reference has no such call."""
        settings = self._organisation.settings
        if not settings.lists_webhooks:
            raise refusal(404, "Not Found")
        return JSONResponse({"webhooks": [{"id": WEBHOOK_ID, "url": settings.receiver}]})

    async def show_subscriptions(self, request: Request) -> Response:
        """Event types of the webhook."""
        return JSONResponse({"event_types": self._known_webhook(request).event_types})

    async def replace_subscriptions(self, request: Request) -> Response:
        """Replace the whole set."""
        webhook = self._known_webhook(request)
        asked = Subscriptions.model_validate_json(await request.body() or b"{}")
        unknown = sorted(set(asked.event_types) - EVENT_TYPES)
        if unknown:
            raise refusal(400, f"Unknown event types: {', '.join(unknown)}")
        webhook.event_types = list(dict.fromkeys(asked.event_types))
        mark_effect(request)
        return JSONResponse({"event_types": webhook.event_types})

    async def regenerate_secret(self, request: Request) -> Response:
        """A new secret, shown once; the old one signs nothing any more."""
        self._known_webhook(request)
        settings = self._organisation.settings
        settings.secret = make_secret(settings.scheme)
        mark_effect(request)
        return JSONResponse({"secret": settings.secret})

    async def list_deliveries(self, request: Request) -> Response:
        """Deliveries, newest first."""
        settings = self._organisation.settings
        rows = [one.show() for one in reversed(self._known_webhook(request).deliveries)]
        shown = rows
        if settings.pages_deliveries:
            limit = figure(request, "limit", usual=USUAL_ROWS, low=1)
            offset = figure(request, "offset", usual=0, low=0)
            shown = rows[offset : offset + min(limit, MAX_ROWS)]
        if settings.deliveries_form == "array":
            return JSONResponse(shown)
        total = {"total": len(rows)} if settings.deliveries_form == "total" else {}
        return JSONResponse({**total, "deliveries": shown})

    async def redeliver(self, request: Request) -> Response:
        """Send one past event again."""
        webhook = self._known_webhook(request)
        delivery = webhook.find(request.path_params["delivery"])
        if delivery is None:
            raise refusal(404, "Delivery not found")
        to = self._organisation.destination()
        if to is None:
            raise refusal(400, "The webhook has no URL")
        mark_effect(request)
        keep_id = self._organisation.settings.redeliver_keeps_id
        return JSONResponse((await webhook.redeliver(delivery, to, keep_id=keep_id)).show())

    def _known_webhook(self, request: Request) -> Webhook:
        if request.path_params["id"] != WEBHOOK_ID:
            raise refusal(404, "Webhook not found")
        return self._organisation.webhook
