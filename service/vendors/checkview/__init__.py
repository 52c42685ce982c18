"""CheckView: test flows of websites. It sends unsigned notifications, and is called and polled.

Pages: checkview.io/docs/rest-api-getting-started and checkview.io/docs/test-flow-notifications,
read through the reference of 2026-11; what it marks as assumed is set by options.
"""

from __future__ import annotations

from service.vendors.base import Incoming, Outgoing, Rate, Vendor
from service.vendors.checkview.actions import ACTIONS
from service.vendors.checkview.client import auth_headers, check
from service.vendors.checkview.events import EVENTS, delivery_key, normalise
from service.vendors.checkview.guide import GUIDE
from service.vendors.checkview.options import (
    CheckViewConnectionOptions,
    CheckViewCredentials,
    CheckViewOptions,
)
from service.vendors.checkview.polling import POLLS
from service.vendors.checkview.record import RECORDS
from service.vendors.checkview.signing import has_no_header, sign, verifier
from service.vendors.checkview.truth import read_back

VENDOR = Vendor(
    name="checkview",
    title="CheckView",
    guide=GUIDE,
    incoming=Incoming(
        options=CheckViewOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        # The path token is demanded always, and a secret in a header besides where one is named.
        needs_secret=False,
        unsigned=has_no_header,
        types={**EVENTS, "*": "checkview.*"},
        read_back=read_back,
    ),
    outgoing=Outgoing(
        base_url="https://api.checkview.io",
        credentials=CheckViewCredentials,
        options=CheckViewConnectionOptions,
        headers=auth_headers,
        # Of a paid plan; without a subscription it is 10 (option `per_minute`).
        rates=(Rate(calls=60),),
        keep_back=5,
        check=check,
    ),
    actions=ACTIONS,
    polls=POLLS,
    records=RECORDS,
)

__all__ = ["VENDOR"]
