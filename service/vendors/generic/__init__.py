"""Any other sender: Standard Webhooks, a ready scheme by name, or every knob set by hand.

Pages: the specification in standard-webhooks/standard-webhooks, and those that vendors.md §8 names
for the ready schemes.
"""

from __future__ import annotations

from service.vendors.base import Guide, Incoming, Vendor
from service.vendors.generic.events import delivery_key, normalise
from service.vendors.generic.options import GenericOptions, is_unsigned
from service.vendors.generic.signing import sign, verifier

VENDOR = Vendor(
    name="generic",
    title="Generic webhooks",
    guide=Guide(pages=("https://www.standardwebhooks.com",), configuration=""),
    incoming=Incoming(
        options=GenericOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        unsigned=is_unsigned,
    ),
)
