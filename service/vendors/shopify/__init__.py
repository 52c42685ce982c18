"""Shopify: shops, orders and products.

Pages: shopify.dev, webhooks by HTTPS delivery (vendors.md §8.10). The topics and the members of
bodies are general knowledge, and so is that one event may be sent under several topics.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

# One doing in the shop may be told under several topics with one event id.
_EVENT_AND_TOPIC = "@X-Shopify-Event-Id+@X-Shopify-Topic"

VENDOR = declare(
    Declaration(
        name="shopify",
        title="Shopify",
        guide=Guide(
            pages=("https://shopify.dev/docs/apps/build/webhooks",),
            incoming=(
                "In the app's configuration, subscribe to the topics with the address {url}.",
                (
                    "Put the app's client secret into the variable SHOPIFY_CLIENT_SECRET. For web "
                    "hooks made in the shop's admin (Settings, Notifications, Webhooks), it is the "
                    "secret that is displayed below their list."
                ),
            ),
            notes=(
                (
                    "Shopify waits 5 seconds in all for a 200 and removes the subscription after 8 "
                    "failures in a row."
                ),
                "The time of the event is in a header that is not signed: it is told, not proven.",
                "Names are shopify.<topic>, as in shopify.orders/create.",
            ),
            configuration=source_configuration("shopify", "SHOPIFY_CLIENT_SECRET"),
        ),
        schemes=("shopify",),
        events={
            topic: f"shopify.{topic}"
            for topic in ("orders/create", "orders/paid", "products/update", "app/uninstalled")
        },
        named_by=("@X-Shopify-Topic",),
        known_by=(_EVENT_AND_TOPIC, "@X-Shopify-Webhook-Id"),
        subject=("admin_graphql_api_id", "id"),
        time=("@X-Shopify-Triggered-At", "updated_at"),
        fact=(_EVENT_AND_TOPIC,),
        facts={
            "shop": ("@X-Shopify-Shop-Domain",),
            "name": ("name", "title"),
            "status": ("financial_status", "status"),
            "total": ("total_price",),
            "currency": ("currency",),
        },
        status_code=200,
    )
)
