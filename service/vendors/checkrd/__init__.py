"""Checkrd: policies, kill switch and alerts for AI agents. It sends alerts and is called.

Pages: checkrd.io/docs/api (overview, errors, control, alerts) and the repository
checkrd-io/checkrd-sdk, read 2026-10; what they leave open (vendors.md §4, assumed) is set by
options.
"""

from __future__ import annotations

from service.vendors.base import Guide, Incoming, Vendor
from service.vendors.checkrd.events import delivery_key, normalise
from service.vendors.checkrd.facts import TYPES
from service.vendors.checkrd.options import CheckrdOptions
from service.vendors.checkrd.signing import sign, verifier

VENDOR = Vendor(
    name="checkrd",
    title="Checkrd",
    guide=Guide(pages=("https://checkrd.io/docs/api/overview",), configuration=""),
    incoming=Incoming(
        options=CheckrdOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        types={**TYPES, "*": "checkrd.*"},
    ),
)

__all__ = ["VENDOR"]
