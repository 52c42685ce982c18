"""Management of webhooks: events, subscriptions, secrets, deliveries (vendors.md §1.1).

The bodies of these calls are not published. A list may be bare or the only array of an object, and
a member may have any of the names one would expect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import AliasChoices, Field, SecretStr

from service.errors import VendorBroken
from service.http import HttpAnswer, path_of
from service.vendors.reading import Flag, Payload, Text, Time, Whole, as_text, as_texts, first_text
from service.vendors.vibeview.api.calling import PAGE, Calls, Page, page_of, rows_of, walk

HOOKS = "/integrations/webhooks"
_SECRET_PATHS = ("secret", "signing_secret", "webhook_secret", "webhook.secret", "data.secret")


class CatalogEntry(Payload):
    """One event type the vendor can send."""

    type: Text = Field(default=None, validation_alias=AliasChoices("type", "event_type", "event"))
    category: Text = None
    description: Text = None
    default: Flag = None


class Webhook(Payload):
    """A webhook that was set up in the web application."""

    id: Text = Field(default=None, validation_alias=AliasChoices("id", "public_id", "webhook_id"))
    url: Text = Field(default=None, validation_alias=AliasChoices("url", "target_url", "endpoint"))


class WebhookDelivery(Payload):
    """One attempt to deliver an event; the excerpts are the beginnings of bodies."""

    id: Text = Field(default=None, validation_alias=AliasChoices("id", "delivery_id", "uuid"))
    event_id: Text = None
    event_type: Text = Field(
        default=None, validation_alias=AliasChoices("event_type", "event", "type")
    )
    status: Text = None
    response_code: Whole = Field(
        default=None, validation_alias=AliasChoices("response_code", "response_status")
    )
    attempt: Whole = Field(default=None, validation_alias=AliasChoices("attempt", "attempts"))
    created_at: Time = Field(
        default=None, validation_alias=AliasChoices("created_at", "sent_at", "timestamp")
    )
    payload_excerpt: Any = Field(
        default=None, validation_alias=AliasChoices("payload_excerpt", "payload", "request_body")
    )
    response_excerpt: Text = Field(
        default=None, validation_alias=AliasChoices("response_excerpt", "response_body")
    )


class WebhookCalls(Calls):
    """What can be asked of and done to a webhook; that it needs the role admin is assumed."""

    def catalog(self) -> list[CatalogEntry]:
        """Give every event type the vendor can send: the authority on their names."""
        answer = self._get("/integrations/events/catalog", role="admin")
        return [
            answer.fit(CatalogEntry, {"type": row} if isinstance(row, str) else row)
            for row in answer.items("events", "catalog", "event_types")
            if isinstance(row, str | dict)
        ]

    def all(self) -> list[Webhook]:
        """Give the webhooks there are. The vendor's reference has no such call: it may be 404."""
        return rows_of(self._get(HOOKS, role="admin"), Webhook, "webhooks")

    def subscriptions(self, webhook_id: str) -> list[str]:
        """Give the event types that this webhook is sent."""
        path = f"{HOOKS}{path_of(webhook_id)}/subscriptions"
        return _event_types(self._get(path, role="admin"))

    def replace_subscriptions(self, webhook_id: str, event_types: Sequence[str]) -> list[str]:
        """Send this webhook exactly these event types from now on; gives what is in force then."""
        wanted = list(event_types)
        path = f"{HOOKS}{path_of(webhook_id)}/subscriptions"
        # The whole set is sent, so that sending it twice ends where sending it once does.
        body = {"event_types": wanted}
        answer = self._ask("PUT", path, json=body, safe=True, role="admin")
        return _event_types(answer) if answer.body.strip() else wanted

    def regenerate_secret(self, webhook_id: str) -> SecretStr:
        """Make a new signing secret, which is given this once; the old one signs no more."""
        path = f"{HOOKS}{path_of(webhook_id)}/regenerate-secret"
        answer = self._ask("POST", path, role="admin")
        secret = first_text(answer.json(), _SECRET_PATHS)
        if secret is None:
            raise VendorBroken(
                "VibeView made a new signing secret and its answer does not hold it",
                hint="make another one in VibeView under Settings → Integrations",
                perhaps_done=True,
            )
        return SecretStr(secret)

    def delivery_page(
        self, webhook_id: str, *, offset: int = 0, limit: int = PAGE
    ) -> Page[WebhookDelivery]:
        """Give a page of the attempts of the last 30 days; that the list has pages is assumed."""
        path = f"{HOOKS}{path_of(webhook_id)}/deliveries"
        answer = self._get(path, {"limit": limit, "offset": offset}, role="admin")
        return page_of(answer, WebhookDelivery, "deliveries")

    def deliveries(self, webhook_id: str, *, limit: int = PAGE) -> Iterator[WebhookDelivery]:
        """Give every attempt of the last 30 days."""
        return walk(lambda offset: self.delivery_page(webhook_id, offset=offset, limit=limit))

    def redeliver(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Send one past event once more; gives what VibeView says of it, which may be nothing."""
        path = f"{HOOKS}{path_of(webhook_id)}/deliveries{path_of(delivery_id)}/redeliver"
        answer = self._ask("POST", path, role="admin")
        try:
            return answer.read(WebhookDelivery)
        except VendorBroken:
            # It was taken, and what the answer looks like is not published.
            return WebhookDelivery()


def _event_types(answer: HttpAnswer) -> list[str]:
    """Give the event types in an answer, whether they are texts or objects."""
    rows = answer.items("event_types", "subscriptions", "events")
    entries = [answer.fit(CatalogEntry, row) for row in rows if isinstance(row, dict)]
    return [*as_texts(rows), *(name for entry in entries if (name := as_text(entry.type)))]
