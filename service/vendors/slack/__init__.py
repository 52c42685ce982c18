"""Slack: messages and buttons. It sends pressed buttons, slash commands and the Events API.

Pages: docs.slack.dev, authentication/verifying-requests-from-slack, apis/events-api and
interactivity/handling-user-interaction (vendors.md §7).
"""

from __future__ import annotations

from service.vendors.base import Guide, Incoming, Outgoing, Rate, Vendor
from service.vendors.slack.actions import ACTIONS
from service.vendors.slack.client import (
    SlackConnectionOptions,
    SlackCredentials,
    auth_headers,
    check,
)
from service.vendors.slack.events import delivery_key, handshake, normalise
from service.vendors.slack.options import SlackOptions
from service.vendors.slack.signing import sign, verifier

VENDOR = Vendor(
    name="slack",
    title="Slack",
    guide=Guide(pages=("https://docs.slack.dev",), configuration=""),
    incoming=Incoming(
        options=SlackOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        handshake=handshake,
        status_code=200,
        answer_body=False,
    ),
    outgoing=Outgoing(
        base_url="https://slack.com/api",
        credentials=SlackCredentials,
        options=SlackConnectionOptions,
        headers=auth_headers,
        # One message a second for each channel, with short bursts.
        rates=(Rate(calls=60),),
        check=check,
    ),
    actions=ACTIONS,
)
