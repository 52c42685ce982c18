"""Datadog: monitors. Nothing is signed; a token of ours comes back in a header.

Pages: docs.datadoghq.com/integrations/webhooks (vendors.md §8.6). The transitions beyond those
listed there (Renotify, Re-No Data, Re-Warn and the recoveries of either) are general knowledge.
"""

from __future__ import annotations

from schemas.events import Json
from service.vendors.base import Guide, dig
from service.vendors.declared import Declaration, declare, source_configuration
from service.vendors.reading import as_text

_TEMPLATE = """{
  "id": "$ID",
  "transition": "$ALERT_TRANSITION",
  "title": "$EVENT_TITLE",
  "message": "$EVENT_MSG",
  "alert_id": "$ALERT_ID",
  "alert_type": "$ALERT_TYPE",
  "alert_cycle_key": "$ALERT_CYCLE_KEY",
  "aggregation_key": "$AGGREG_KEY",
  "date": "$DATE",
  "link": "$LINK",
  "tags": "$TAGS"
}
"""


def _tags(body: Json) -> Json:
    """Give the tags, which `$TAGS` puts into one text with commas between them."""
    text = as_text(dig(body, "tags")) or ""
    return [tag.strip() for tag in text.split(",") if tag.strip()]


VENDOR = declare(
    Declaration(
        name="datadog",
        title="Datadog",
        guide=Guide(
            pages=("https://docs.datadoghq.com/integrations/webhooks/",),
            incoming=(
                (
                    "In Datadog, open Integrations, then Webhooks, and add a new one with the URL "
                    "{url}."
                ),
                "Paste the template below as its payload.",
                (
                    "Choose custom headers, as JSON: the name is X-Hookwright-Token, the value a "
                    "long random token of your own."
                ),
                "Put the same token into the variable DATADOG_WEBHOOK_TOKEN.",
                "Name the web hook in the message of the monitors that matter: @webhook-<name>.",
            ),
            notes=(
                "Datadog signs nothing: the token proves who sends, not what is sent. Use https.",
                (
                    "With basic authentication (https://user:password@... as the URL), set the "
                    "option scheme to basic-auth; the secret is then user:password. OAuth is not "
                    "taken."
                ),
                (
                    "Triggered and No Data become check.failed, Warn check.degraded, a repetition "
                    "check.still_failing, Recovered check.recovered."
                ),
                "Only failures of connection and 5xx are repeated, 5 times.",
            ),
            template=_TEMPLATE,
            configuration=source_configuration(
                "datadog", "DATADOG_WEBHOOK_TOKEN", "scheme: header-token"
            ),
        ),
        schemes=("header-token", "basic-auth"),
        events={
            "Triggered": "check.failed",
            "No Data": "check.failed",
            "Warn": "check.degraded",
            "Re-Warn": "check.degraded",
            "Re-Triggered": "check.still_failing",
            "Re-No Data": "check.still_failing",
            "Renotify": "check.still_failing",
            "Recovered": "check.recovered",
            "Warn Recovered": "check.recovered",
            "No Data Recovered": "check.recovered",
        },
        named_by=("transition", "alert_type"),
        subject=("alert_id", "alert_cycle_key"),
        time=("date",),
        fact=("id",),
        facts={
            "check_id": ("alert_id",),
            "name": ("title",),
            "kind": ("alert_type",),
            "status": ("transition",),
            "result_id": ("alert_cycle_key",),
            "url": ("link",),
            "error": ("message",),
            "group": ("aggregation_key",),
            "tags": _tags,
        },
    )
)
