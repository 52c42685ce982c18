"""Stripe: payments. It sends what happens to payments, invoices and subscriptions.

Pages: docs.stripe.com/webhooks (vendors.md §8.3). Where objects keep what we read beyond `id`,
`type`, `created`, `livemode` and `data.object` is general knowledge.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="stripe",
        title="Stripe",
        guide=Guide(
            pages=("https://docs.stripe.com/webhooks",),
            incoming=(
                "In the Stripe dashboard, open Developers, then Webhooks, and add an endpoint.",
                "Give it the address {url} and choose the events.",
                (
                    "Reveal the endpoint's signing secret, which begins with whsec_, and put it "
                    "into the variable STRIPE_WEBHOOK_SECRET."
                ),
            ),
            notes=(
                (
                    "The secret is used as it is, not decoded: that is unlike Standard Webhooks, "
                    "whose secrets begin with whsec_ too."
                ),
                "Only signatures marked v1 count; v0 is Stripe's test scheme and proves nothing.",
                (
                    "While a secret is rolled, the old one lives for at most 24 hours and every "
                    "delivery carries two signatures."
                ),
                "Events come in no order. Stripe repeats a failed delivery for up to 3 days.",
            ),
            configuration=source_configuration("stripe", "STRIPE_WEBHOOK_SECRET"),
        ),
        schemes=("stripe",),
        subject=("data.object.id",),
        time=("created",),
        fact=("id",),
        facts={
            "object": ("data.object.object",),
            "status": ("data.object.status",),
            "amount": ("data.object.amount", "data.object.amount_due"),
            "currency": ("data.object.currency",),
            "customer": ("data.object.customer",),
            "livemode": ("livemode",),
        },
    )
)
