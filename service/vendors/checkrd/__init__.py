"""Checkrd: policies, kill switch and alerts for AI agents. It sends alerts and is called.

Pages: checkrd.io/docs/api (overview, errors, control, alerts) and the repository
checkrd-io/checkrd-sdk, read 2026-10; what they leave open (vendors.md §4, assumed) is set by
options.
"""

from __future__ import annotations

from service.vendors.base import Incoming, Outgoing, Rate, Vendor
from service.vendors.checkrd.actions import ACTIONS
from service.vendors.checkrd.client import check
from service.vendors.checkrd.connection import (
    CheckrdConnectionOptions,
    CheckrdCredentials,
    auth_headers,
    fetch_token,
)
from service.vendors.checkrd.events import delivery_key, normalise
from service.vendors.checkrd.facts import TYPES
from service.vendors.checkrd.guide import GUIDE
from service.vendors.checkrd.history import POLLS, RECORDS
from service.vendors.checkrd.options import CheckrdOptions
from service.vendors.checkrd.signing import sign, verifier

VENDOR = Vendor(
    name="checkrd",
    title="Checkrd",
    guide=GUIDE,
    incoming=Incoming(
        options=CheckrdOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        types={**TYPES, "*": "checkrd.*"},
    ),
    outgoing=Outgoing(
        base_url="https://api.checkrd.io",
        credentials=CheckrdCredentials,
        options=CheckrdConnectionOptions,
        headers=auth_headers,
        # The vendor allows 20 a second with a burst of 40 (log-in: 5 and 10) and counts all callers
        # behind one address: a quarter, and most of the burst, is left to others there.
        rates=(
            Rate(calls=15, seconds=1.0),
            Rate(
                calls=4,
                seconds=1.0,
                name="auth",
                covers=lambda _method, path: path.startswith("/auth/"),
            ),
        ),
        keep_back=2,
        token=fetch_token,
        check=check,
    ),
    actions=ACTIONS,
    polls=POLLS,
    records=RECORDS,
)

__all__ = ["VENDOR"]
