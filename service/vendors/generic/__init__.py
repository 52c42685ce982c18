"""Any other sender: Standard Webhooks, a ready scheme by name, or every knob set by hand.

Pages: the specification in standard-webhooks/standard-webhooks, and those that vendors.md §8 names
for the ready schemes.
"""

from __future__ import annotations

from service.vendors.base import Guide, Incoming, Vendor
from service.vendors.generic.events import delivery_key, normalise
from service.vendors.generic.options import GenericOptions, is_unsigned
from service.vendors.generic.signing import sign, verifier

GUIDE = Guide(
    pages=("https://www.standardwebhooks.com",),
    incoming=(
        "At the sender, add a webhook with the address {url}.",
        "Put its signing secret into the variable SENDER_WEBHOOK_SECRET.",
        (
            "When it signs otherwise than by Standard Webhooks, let it send one delivery: it is "
            "refused, and `hookwright source identify --rejection ID` tells the scheme and what "
            "to write here."
        ),
        "Say with `events` and `facts` what its bodies mean in our words.",
    ),
    notes=(
        (
            "A sender that signs nothing is received with `scheme: none` and a `path_token`; the "
            "address with the token is then its secret."
        ),
        (
            "Every knob that is given beside `scheme` replaces that of the ready scheme; `custom` "
            "is made of knobs alone."
        ),
        (
            "An event is named `generic.` and the sender's own name, unless `events` says which of "
            "our types it is."
        ),
        (
            "Events are searched by their facts: of a body, what no fact of `facts` names is not "
            "found by its words."
        ),
    ),
    configuration="""\
sources:
  - name: sender
    vendor: generic
    secrets: [{env: SENDER_WEBHOOK_SECRET}]
    options:
      events: {build.failed: test_run.failed}
      facts: {run_id: data.build.id, url: data.build.url, counts.failed: data.failures}
""",
)

VENDOR = Vendor(
    name="generic",
    title="Generic webhooks",
    guide=GUIDE,
    incoming=Incoming(
        options=GenericOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        unsigned=is_unsigned,
        types={"*": "generic.*"},
    ),
)
