"""Linear: issues, comments and projects.

Pages: linear.app/developers/webhooks (vendors.md §8.9). The members of `data` are general
knowledge.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="linear",
        title="Linear",
        guide=Guide(
            pages=("https://linear.app/developers/webhooks",),
            incoming=(
                "In Linear, open Settings, then API, and create a new web hook.",
                "Give it the address {url} and choose the kinds of data and the teams.",
                "Copy the signing secret into the variable LINEAR_WEBHOOK_SECRET.",
            ),
            notes=(
                (
                    "The time of signing is in the signed body and may be 60 seconds off: keep the "
                    "machine's clock right."
                ),
                (
                    "Linear waits 5 seconds for a 200, repeats after 1 minute, 1 hour and 6 hours, "
                    "and may then switch the web hook off."
                ),
                "Names are linear.<type>.<action>, as in linear.Issue.update.",
            ),
            configuration=source_configuration("linear", "LINEAR_WEBHOOK_SECRET"),
        ),
        schemes=("linear",),
        detailed_by=("action",),
        subject=("data.id",),
        time=("createdAt",),
        facts={
            "title": ("data.title", "data.name"),
            "identifier": ("data.identifier", "data.issue.identifier"),
            "status": ("data.state.name",),
            "team": ("data.team.key",),
            "author": ("actor.name",),
            "body": ("data.body",),
            "url": ("url",),
        },
        status_code=200,
    )
)
