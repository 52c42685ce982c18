"""Which scheme a VibeView source uses, and a body signed as VibeView would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from service.signatures import Scheme, compile_verifier, preset, sign_with
from service.vendors.base import Secret, Signed, Verifier
from service.vendors.reading import put, read_object
from service.vendors.vibeview.options import VibeViewOptions

_THIRD_PARTY = frozenset({"standard-webhooks", "svix"})


def scheme_of(options: VibeViewOptions) -> Scheme:
    """Give the scheme that the options name, with the options' headers."""
    changes: dict[str, object] = {"tolerance_s": options.tolerance_s}
    if options.secret_encoding is not None:
        changes["secret_encoding"] = options.secret_encoding
    if options.scheme not in _THIRD_PARTY:
        changes["signature_header"] = options.signature_header
        changes["id_headers"] = (options.delivery_header,)
    if options.scheme == "sha256-timestamp-body":
        changes["ts_header"] = options.timestamp_header
    return preset(options.scheme).changed(changes)


def delivery_headers(options: VibeViewOptions) -> tuple[str, ...]:
    """Give the headers that may name the delivery."""
    if options.scheme in _THIRD_PARTY:
        return preset(options.scheme).id_headers
    return (options.delivery_header,)


def verifier(options: VibeViewOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source. Raises ConfigurationError."""
    return compile_verifier(scheme_of(options), secrets)


def sign(
    body: bytes,
    secret: str,
    now: datetime,
    options: VibeViewOptions,
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as VibeView would send it; ids and event name are also set in a JSON object."""
    with suppress(ValueError):  # what is no JSON is sent as it is
        document = read_object(body)
        for paths, text in ((options.id_paths, delivery_id), (options.event_paths, event)):
            if paths and text:
                put(document, paths[0], text)
        body = json.dumps(document).encode()
    headers = sign_with(scheme_of(options), body, secret, now, delivery_id)
    own = (("Content-Type", "application/json"), (options.event_header, event))
    return Signed(headers=(*own, *headers), body=body)
