"""Zendesk: tickets, told by event subscriptions or by triggers with a body of one's own.

Pages: developer.zendesk.com, webhooks/verifying (vendors.md §8.11). Bodies, names of events and the
placeholders of the template are general knowledge.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

_TEMPLATE = """{
  "type": "ticket.updated",
  "ticket": {
    "id": "{{ticket.id}}",
    "title": "{{ticket.title}}",
    "status": "{{ticket.status}}",
    "priority": "{{ticket.priority}}",
    "url": "{{ticket.link}}"
  }
}
"""

VENDOR = declare(
    Declaration(
        name="zendesk",
        title="Zendesk",
        guide=Guide(
            pages=("https://developer.zendesk.com/documentation/webhooks/verifying/",),
            incoming=(
                "In the Admin Center, open Apps and integrations, then Webhooks, and create one.",
                "Choose Zendesk events, or Trigger or automation if rules are to call it.",
                "Set the endpoint URL to {url}, the method to POST and the format to JSON.",
                (
                    "Open the web hook, reveal its signing secret and put it into the variable "
                    "ZENDESK_WEBHOOK_SECRET."
                ),
                "For a trigger, add the action Notify active webhook and paste the template.",
            ),
            notes=(
                "A web hook that sends no body is signed too and gives zendesk.unknown.",
                (
                    "Zendesk waits 10 to 12 seconds and stops for a while when 70 % of the "
                    "deliveries of 5 minutes fail."
                ),
                "In the template, type is the event's name: write another one for each trigger.",
            ),
            template=_TEMPLATE,
            configuration=source_configuration("zendesk", "ZENDESK_WEBHOOK_SECRET"),
        ),
        schemes=("zendesk",),
        events={
            name: f"zendesk.{name}"
            for name in (
                "zen:event-type:ticket.created",
                "zen:event-type:ticket.status_changed",
            )
        },
        subject=("ticket.id", "detail.id", "subject"),
        time=("time",),
        facts={
            "title": ("ticket.title", "detail.subject"),
            "status": ("ticket.status", "detail.status"),
            "priority": ("ticket.priority", "detail.priority"),
            "url": ("ticket.url",),
        },
        empty=True,
    )
)
