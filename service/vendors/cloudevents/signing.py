"""The check of a CloudEvents source, and a body sent as a sender of CloudEvents would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from service.errors import ConfigurationError
from service.signatures import compile_verifier, preset, sign_with
from service.vendors.base import Delivery, Secret, Signed, Verifier, read_json
from service.vendors.cloudevents.modes import BATCH, PREFIX, STRUCTURED
from service.vendors.cloudevents.options import CloudEventsOptions, is_unsigned

_SOURCE = "/hookwright/send"
_PLAIN = "/:;@!$&'()*+,=?#[]~"
"""What a header may hold as it is, beside letters and digits; the rest is percent-encoded."""


def verifier(options: CloudEventsOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source. Raises ConfigurationError.

    With scheme `none` everything passes: the path token, which the door has compared before, is
    then the only proof.
    """
    if not is_unsigned(options):
        return compile_verifier(preset(options.scheme), secrets)
    if secrets:
        raise ConfigurationError(
            "scheme none checks no secret", hint="name a scheme, or give a path_token instead"
        )
    return _accept


def _accept(_delivery: Delivery, _now: datetime) -> None:
    """Take what the path token has proven."""


def sign(
    body: bytes,
    secret: str,
    now: datetime,
    options: CloudEventsOptions,
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as a sender would send it.

    An array goes as a batch, an object with `specversion` (and what is no JSON) in structured
    mode, and any other JSON in binary mode, with its attributes in headers.
    """
    try:
        document = read_json(body)
    except ValueError:
        headers = {"Content-Type": STRUCTURED}
    else:
        headers = _marked(document, event, delivery_id)
        body = json.dumps(document).encode()
    if not is_unsigned(options):
        headers |= dict(sign_with(preset(options.scheme), body, secret, now, delivery_id))
    return Signed(headers=tuple(headers.items()), body=body)


def _marked(document: Any, event: str, delivery_id: str) -> dict[str, str]:
    """Write type and id where they belong; gives the headers of the mode."""
    if isinstance(document, list):
        for number, entry in enumerate(document):
            if isinstance(entry, dict):
                entry["id"] = f"{delivery_id}-{number}"
        return {"Content-Type": BATCH}
    if isinstance(document, dict) and "specversion" in document:
        document["id"] = delivery_id
        document["type"] = event or document.get("type")
        return {"Content-Type": STRUCTURED}
    attributes = {"specversion": "1.0", "id": delivery_id, "source": _SOURCE, "type": event}
    named = {
        f"{PREFIX}{name}": quote(text, safe=_PLAIN, errors="replace")
        for name, text in attributes.items()
        if text
    }
    return {"Content-Type": "application/json", **named}
