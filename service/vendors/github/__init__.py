"""GitHub: repositories, pull requests and workflows. It sends every event of its webhooks.

Pages: docs.github.com, webhooks/using-webhooks/validating-webhook-deliveries and
webhooks/webhook-events-and-payloads (vendors.md §6).
"""

from __future__ import annotations

from service.vendors.base import Guide, Incoming, Outgoing, Rate, Vendor
from service.vendors.github.actions import ACTIONS
from service.vendors.github.client import (
    GitHubConnectionOptions,
    GitHubCredentials,
    auth_headers,
    check,
)
from service.vendors.github.events import TYPES, delivery_key, normalise
from service.vendors.github.options import GitHubOptions
from service.vendors.github.signing import sign, verifier

VENDOR = Vendor(
    name="github",
    title="GitHub",
    guide=Guide(pages=("https://docs.github.com/en/webhooks",), configuration=""),
    incoming=Incoming(
        options=GitHubOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        types=TYPES,
    ),
    outgoing=Outgoing(
        base_url="https://api.github.com",
        credentials=GitHubCredentials,
        options=GitHubConnectionOptions,
        headers=auth_headers,
        # 5000 an hour, and no more than 80 comments a minute.
        rates=(Rate(calls=80),),
        check=check,
    ),
    actions=ACTIONS,
)
