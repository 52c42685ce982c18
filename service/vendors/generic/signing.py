"""A generic source's check, and a body signed as its sender would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from service.errors import ConfigurationError
from service.signatures import compile_verifier, sign_with, time_text
from service.vendors.base import Delivery, Secret, Signed, Verifier
from service.vendors.generic.options import (
    GenericOptions,
    is_unsigned,
    scheme_of,
)
from service.vendors.reading import put, read_object


def verifier(options: GenericOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source.

    For an unsigned source it lets everything pass: the path token, which the door has compared
    before, is then the only proof. Raises ConfigurationError.
    """
    if not is_unsigned(options):
        return compile_verifier(scheme_of(options), secrets)
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
    options: GenericOptions,
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as the sender would send it.

    Ids, event and time go to the scheme's headers, or into a JSON object at the first of its
    paths.
    """
    naming = options.naming
    headers = {"Content-Type": "application/json"}
    with suppress(ValueError):  # what is no JSON is sent as it is
        document = read_object(body)
        if event and not naming.event_headers and naming.event_paths:
            put(document, naming.event_paths[0], event)
        if not naming.id_headers and naming.id_paths:
            put(document, naming.id_paths[0], delivery_id)
        if naming.ts_source == "body":
            ts = time_text(now, naming.ts_unit)
            put(document, naming.ts_path, ts if naming.ts_unit == "iso" else int(ts))
        body = json.dumps(document).encode()
    if event and naming.event_headers:
        headers[naming.event_headers[0]] = event
    if naming.id_headers:
        headers[naming.id_headers[0]] = delivery_id
    if not is_unsigned(options):
        headers.update(sign_with(scheme_of(options), body, secret, now, delivery_id))
    return Signed(headers=tuple(headers.items()), body=body)
