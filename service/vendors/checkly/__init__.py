"""Checkly: synthetic monitoring and Playwright checks. It sends alerts, and is called and polled.

Pages: checklyhq.com/docs/integrations/alerts/webhooks, checklyhq.com/docs/alerting-and-retries and
checklyhq.com/docs/api-reference; the repository checkly/checkly-cli. Read through the reference of
2026-11; what it marks as assumed is set by options.
"""

from __future__ import annotations

from service.vendors.base import Incoming, Outgoing, Rate, Vendor
from service.vendors.checkly.actions import ACTIONS
from service.vendors.checkly.client import (
    ChecklyConnectionOptions,
    ChecklyCredentials,
    auth_headers,
    check,
)
from service.vendors.checkly.events import TYPES, delivery_key, normalise
from service.vendors.checkly.guide import GUIDE
from service.vendors.checkly.options import ChecklyOptions
from service.vendors.checkly.polling import POLLS
from service.vendors.checkly.records import RECORDS
from service.vendors.checkly.signing import sign, verifier

VENDOR = Vendor(
    name="checkly",
    title="Checkly",
    guide=GUIDE,
    incoming=Incoming(
        options=ChecklyOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        types=TYPES,
    ),
    outgoing=Outgoing(
        base_url="https://api.checklyhq.com",
        credentials=ChecklyCredentials,
        options=ChecklyConnectionOptions,
        headers=auth_headers,
        rates=(Rate(calls=600),),
        check=check,
    ),
    actions=ACTIONS,
    polls=POLLS,
    records=RECORDS,
)

__all__ = ["VENDOR"]
