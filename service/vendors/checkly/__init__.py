"""Checkly: synthetic monitoring and Playwright checks. It sends alerts, and is called and polled.

Pages: checklyhq.com/docs/integrations/alerts/webhooks, checklyhq.com/docs/alerting-and-retries and
checklyhq.com/docs/api-reference; the repository checkly/checkly-cli. Read through the reference of
2026-11; what it marks as assumed is set by options.
"""

from __future__ import annotations

from service.vendors.base import Incoming, Vendor
from service.vendors.checkly.events import TYPES, delivery_key, normalise
from service.vendors.checkly.guide import GUIDE
from service.vendors.checkly.options import ChecklyOptions
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
)

__all__ = ["VENDOR"]
