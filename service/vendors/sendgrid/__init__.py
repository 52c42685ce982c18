"""SendGrid (Twilio): what became of the mail that was sent, several events in one delivery.

Pages: twilio.com/docs/sendgrid, event webhook (vendors.md §8.12 has the algorithm). The names of
headers and events, the members of entries and the 24 hours of retries are general knowledge.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="sendgrid",
        title="SendGrid",
        guide=Guide(
            pages=("https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event",),
            incoming=(
                (
                    "In SendGrid, open Settings, then Mail Settings, then Event Webhooks, and "
                    "create one."
                ),
                "Set the Post URL to {url} and choose the events.",
                "Under security features, enable the Signed Event Webhook and save.",
                "Copy the verification key into the variable SENDGRID_PUBLIC_KEY.",
            ),
            notes=(
                (
                    "The secret is the public key in base64 as SendGrid displays it. SendGrid "
                    "keeps the private one, so `hookwright send` cannot sign for SendGrid."
                ),
                (
                    "One delivery holds many entries; each becomes an event of its own, known by "
                    "its sg_event_id."
                ),
                (
                    "A signed time may be a day old, because it is not known whether a repeated "
                    "delivery is signed anew. A replay within that day gives no event twice."
                ),
            ),
            configuration=source_configuration("sendgrid", "SENDGRID_PUBLIC_KEY"),
        ),
        schemes=("sendgrid",),
        subject=("sg_message_id",),
        time=("timestamp",),
        fact=("sg_event_id",),
        facts={
            "email": ("email",),
            "status": ("status",),
            "reason": ("reason",),
            "url": ("url",),
            "message_id": ("sg_message_id",),
        },
        batch=True,
    )
)
