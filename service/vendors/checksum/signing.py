"""Which scheme a Checksum source uses, and a body signed by it (vendors.md §5.1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from service.signatures import Scheme, compile_verifier, preset, sign_with
from service.vendors.base import Secret, Signed, Verifier
from service.vendors.checksum.options import ChecksumSourceOptions
from service.vendors.reading import put, read_object


def scheme_of(options: ChecksumSourceOptions) -> Scheme:
    """Give the scheme that the options name, with the options' headers."""
    changes: dict[str, object] = {"tolerance_s": options.tolerance_s}
    if options.secret_encoding is not None:
        changes["secret_encoding"] = options.secret_encoding
    if options.scheme == "standard-webhooks":
        return preset("standard-webhooks").changed(changes)
    changes["signature_header"] = options.signature_header
    changes["ts_header"] = options.timestamp_header
    if options.signature_prefix:
        changes |= {"item_format": "prefix", "prefix": options.signature_prefix}
    return preset("checksum").changed(changes)


def verifier(options: ChecksumSourceOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source. Raises ConfigurationError."""
    return compile_verifier(scheme_of(options), secrets)


def sign(
    body: bytes,
    secret: str,
    now: datetime,
    options: ChecksumSourceOptions,
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as Checksum would send it; id and event name are set in a JSON object."""
    with suppress(ValueError):  # what is no JSON is sent as it is
        document = read_object(body)
        for paths, text in ((options.id_paths, delivery_id), (options.event_paths, event)):
            if paths and text:
                put(document, paths[0], text)
        body = json.dumps(document).encode()
    headers = sign_with(scheme_of(options), body, secret, now, delivery_id)
    return Signed(headers=(("Content-Type", "application/json"), *headers), body=body)
