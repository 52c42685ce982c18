"""CloudEvents: events of any sender that speaks the standard, one by one or in batches.

Pages: cloudevents/spec, http-webhook 1.0.3-wip and http-protocol-binding 1.0.2 (vendors.md §9.1).
"""

from __future__ import annotations

from service.vendors.base import Guide, Incoming, Vendor
from service.vendors.cloudevents.events import delivery_key, normalise
from service.vendors.cloudevents.options import CloudEventsOptions, is_unsigned
from service.vendors.cloudevents.signing import sign, verifier
from service.vendors.declared import source_configuration

VENDOR = Vendor(
    name="cloudevents",
    title="CloudEvents",
    guide=Guide(
        pages=("https://cloudevents.io", "https://github.com/cloudevents/spec"),
        incoming=(
            "At the sender, add a web hook (or an HTTP sink) with the address {url}.",
            (
                "Let it send a long random token of your own as a bearer token: the header "
                "Authorization with the value Bearer and the token."
            ),
            "Put the same token into the variable CLOUDEVENTS_TOKEN.",
        ),
        notes=(
            "All three modes of content are taken: structured, binary and batches.",
            (
                "A sender that signs in another way needs the option scheme, such as "
                "standard-webhooks or github; one that proves nothing needs scheme none and a "
                "path_token."
            ),
            (
                "An event whose type is one of ours (test_run.failed) stays what it is, with the "
                "facts in its data; any other becomes cloudevents.<type>. The option events "
                "gives other types."
            ),
            (
                "An event is known by its source and id: sent twice, in whatever mode, it is "
                "taken once."
            ),
            (
                "An entry of a batch that is no CloudEvent becomes the event "
                "cloudevents.malformed; the others are read as usual."
            ),
            "The question that a sender asks first by OPTIONS is answered with consent.",
            "A token in the query of the address (access_token) is not looked at: use a header.",
        ),
        configuration=source_configuration("cloudevents", "CLOUDEVENTS_TOKEN"),
    ),
    incoming=Incoming(
        options=CloudEventsOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        unsigned=is_unsigned,
        types={"*": "cloudevents.*"},
    ),
)
