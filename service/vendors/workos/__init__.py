"""WorkOS: log-in and directories of companies. It sends what happens to users and connections.

Pages: workos.com/docs, webhooks. Where bodies hold what we read is general knowledge.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="workos",
        title="WorkOS",
        guide=Guide(
            pages=("https://workos.com/docs/events",),
            incoming=(
                "In the WorkOS dashboard, open Webhooks and create one.",
                "Give it the address {url} and choose the events.",
                "Copy the signing secret into the variable WORKOS_WEBHOOK_SECRET.",
            ),
            notes=("The time in the signature counts milliseconds, unlike that of most senders.",),
            configuration=source_configuration("workos", "WORKOS_WEBHOOK_SECRET"),
        ),
        schemes=("workos",),
        subject=("data.id",),
        time=("created_at",),
        fact=("id",),
        facts={
            "object": ("data.object",),
            "email": ("data.email",),
            "organization": ("data.organization_id",),
            "state": ("data.state",),
        },
    )
)
