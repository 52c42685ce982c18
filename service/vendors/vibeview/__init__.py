"""VibeView: mobile app tests on simulators. It sends run, visual, app and billing events.

Pages: vibeview.io/docs/api-reference and vibeview.io/docs/webhooks-slack, read 2026-10; what they
leave open about signatures and bodies (vendors.md §1.1, marked as assumed) is set by options.
"""

from __future__ import annotations

from service.vendors.base import Incoming, Outgoing, Vendor
from service.vendors.vibeview.actions import ACTIONS
from service.vendors.vibeview.client import (
    RATES,
    VibeViewConnectionOptions,
    VibeViewCredentials,
    auth_headers,
    check,
)
from service.vendors.vibeview.events import TYPES, delivery_key, normalise
from service.vendors.vibeview.guide import GUIDE
from service.vendors.vibeview.options import VibeViewOptions
from service.vendors.vibeview.polling import POLLS
from service.vendors.vibeview.record import RECORDS
from service.vendors.vibeview.signing import sign, verifier

VENDOR = Vendor(
    name="vibeview",
    title="VibeView",
    guide=GUIDE,
    incoming=Incoming(
        options=VibeViewOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        types=TYPES,
    ),
    outgoing=Outgoing(
        base_url="https://vibeview.io",
        credentials=VibeViewCredentials,
        options=VibeViewConnectionOptions,
        headers=auth_headers,
        rates=RATES,
        check=check,
    ),
    actions=ACTIONS,
    polls=POLLS,
    records=RECORDS,
)
