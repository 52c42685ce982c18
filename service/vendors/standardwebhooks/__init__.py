"""Standard Webhooks: any sender that follows the open specification.

Pages: the specification in standard-webhooks/standard-webhooks, version 1.0.0 (vendors.md §8.1).
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="standardwebhooks",
        title="Standard Webhooks",
        guide=Guide(
            pages=("https://www.standardwebhooks.com",),
            incoming=(
                "In the sender's settings, add an endpoint (or web hook) with the address {url}.",
                "Choose the events it is to send.",
                (
                    "Copy the signing secret, which begins with whsec_ (or the public key, which "
                    "begins with whpk_), into the variable STANDARD_WEBHOOKS_SECRET."
                ),
            ),
            notes=(
                (
                    "The names of the headers may begin with webhook- or with svix-: either full "
                    "set is taken, never a mixture of the two."
                ),
                "The secret is decoded from base64 before it is used; give it as it is displayed.",
                "While the sender changes its secret, list the old and the new one.",
                "GitLab, OpenAI, Render, Replicate, Resend, Clerk, Brex and Browserbase sign so.",
            ),
            configuration=source_configuration("standardwebhooks", "STANDARD_WEBHOOKS_SECRET"),
        ),
        schemes=("standard-webhooks",),
        subject=("data.id",),
        time=("timestamp",),
        # The id is the same over all retries of one event (section on headers in the spec).
        fact=("@webhook-id", "@svix-id"),
    )
)
