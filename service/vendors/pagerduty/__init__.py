"""PagerDuty: incidents and who is called. It sends version 3 web hooks.

Pages: developer.pagerduty.com, webhooks overview and verifying signatures (vendors.md §8.5). The
members of `event.data` are general knowledge.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="pagerduty",
        title="PagerDuty",
        guide=Guide(
            pages=("https://developer.pagerduty.com/docs/webhooks-overview",),
            incoming=(
                "In PagerDuty, open Integrations, then Generic Webhooks (v3), and add one.",
                "Give it the address {url}, choose its scope and the events.",
                (
                    "Copy the secret, which is displayed once, into the variable "
                    "PAGERDUTY_WEBHOOK_SECRET."
                ),
                "Use Send Test Event: a pagerduty.pagey.ping arrives.",
            ),
            notes=(
                (
                    "PagerDuty waits 5 seconds. Three lost deliveries in a row pause the web hook "
                    "for 24 hours."
                ),
                (
                    "Nothing in a delivery says when it was signed, so a replay is known by the "
                    "event's id alone."
                ),
                "Bodies above 55 KB may be cut.",
            ),
            configuration=source_configuration("pagerduty", "PAGERDUTY_WEBHOOK_SECRET"),
        ),
        schemes=("pagerduty",),
        subject=("event.data.id",),
        time=("event.occurred_at",),
        fact=("event.id",),
        facts={
            "title": ("event.data.title",),
            "status": ("event.data.status",),
            "urgency": ("event.data.urgency",),
            "number": ("event.data.number",),
            "service": ("event.data.service.summary",),
            "url": ("event.data.html_url",),
        },
    )
)
