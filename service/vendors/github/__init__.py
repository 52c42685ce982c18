"""GitHub: repositories, pull requests and workflows. It sends every event of its webhooks.

Pages: docs.github.com, webhooks/using-webhooks/validating-webhook-deliveries,
webhooks/webhook-events-and-payloads and the REST reference (vendors.md §6).
"""

from __future__ import annotations

from service.vendors.base import Incoming, Outgoing, Vendor
from service.vendors.github.actions import ACTIONS
from service.vendors.github.app_tokens import fetch_token
from service.vendors.github.client import check
from service.vendors.github.credentials import (
    GitHubConnectionOptions,
    GitHubCredentials,
    auth_headers,
)
from service.vendors.github.events import TYPES, delivery_key, normalise
from service.vendors.github.guide import GUIDE
from service.vendors.github.options import GitHubOptions
from service.vendors.github.polling import POLLS
from service.vendors.github.rates import RATES
from service.vendors.github.record import RECORDS
from service.vendors.github.signing import sign, verifier

VENDOR = Vendor(
    name="github",
    title="GitHub",
    guide=GUIDE,
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
        rates=RATES,
        token=fetch_token,
        check=check,
    ),
    actions=ACTIONS,
    polls=POLLS,
    records=RECORDS,
)
