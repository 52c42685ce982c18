"""Svix: sends web hooks for other products, which are its customers.

Pages: docs.svix.com/receiving and the repository svix/svix-webhooks (vendors.md §8.2).
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="svix",
        title="Svix",
        guide=Guide(
            pages=("https://docs.svix.com/receiving/introduction",),
            incoming=(
                "In the product's web hook settings (the Svix portal), choose Add Endpoint.",
                "Give it the address {url} and choose the events.",
                (
                    "Open the endpoint, show its signing secret, which begins with whsec_, and put "
                    "it into the variable SVIX_WEBHOOK_SECRET."
                ),
                "On the tab Testing, send an example.",
            ),
            notes=(
                (
                    "An answer is waited for 15 seconds. After 5 days of only failures the "
                    "endpoint is switched off."
                ),
                "Senders may use header names that begin with webhook- in place of svix-.",
            ),
            configuration=source_configuration("svix", "SVIX_WEBHOOK_SECRET"),
        ),
        schemes=("svix",),
        subject=("data.id",),
        time=("timestamp",),
        fact=("@svix-id", "@webhook-id"),
    )
)
