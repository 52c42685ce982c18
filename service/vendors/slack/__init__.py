"""Slack: messages and buttons. It sends pressed buttons, slash commands and the Events API.

Pages: docs.slack.dev, authentication/verifying-requests-from-slack, apis/events-api and
interactivity/handling-user-interaction (vendors.md §7).
"""

from __future__ import annotations

from service.vendors.base import Incoming, Outgoing, Vendor
from service.vendors.slack.actions import ACTIONS
from service.vendors.slack.client import check
from service.vendors.slack.credentials import (
    RATES,
    SlackConnectionOptions,
    SlackCredentials,
    auth_headers,
)
from service.vendors.slack.events import TYPES, delivery_key, handshake, normalise
from service.vendors.slack.guide import GUIDE
from service.vendors.slack.options import SlackOptions
from service.vendors.slack.signing import sign, verifier

VENDOR = Vendor(
    name="slack",
    title="Slack",
    guide=GUIDE,
    incoming=Incoming(
        options=SlackOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        handshake=handshake,
        status_code=200,
        answer_body=False,
        types=TYPES,
    ),
    outgoing=Outgoing(
        base_url="https://slack.com/api",
        credentials=SlackCredentials,
        options=SlackConnectionOptions,
        headers=auth_headers,
        rates=RATES,
        check=check,
    ),
    actions=ACTIONS,
)
