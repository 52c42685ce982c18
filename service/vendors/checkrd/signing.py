"""The scheme of a Checkrd source, and a body signed as Checkrd would.

The scheme is that of `verify_webhook` in the vendor's own libraries (checkrd-io/checkrd-sdk).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from service.signatures import Scheme, compile_verifier, preset, sign_with
from service.vendors.base import Secret, Signed, Verifier, dig
from service.vendors.checkrd.options import CheckrdOptions
from service.vendors.reading import as_text, put, read_object


def scheme_of(options: CheckrdOptions) -> Scheme:
    """Give the scheme with the options' header and tolerance."""
    return preset("checkrd").changed(
        {
            "signature_header": options.signature_header,
            "tolerance_s": options.tolerance_s,
        }
    )


def verifier(options: CheckrdOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source. Raises ConfigurationError."""
    return compile_verifier(scheme_of(options), secrets)


def sign(
    body: bytes,
    secret: str,
    now: datetime,
    options: CheckrdOptions,
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as Checkrd would send it; id and type are also set in a JSON object."""
    with suppress(ValueError):  # what is no JSON is sent as it is
        document = read_object(body)
        if options.id_paths and delivery_id:
            put(document, options.id_paths[0], delivery_id)
        if options.type_paths and event:
            # A body keeps its shape: the type is set where this one has it.
            paths = [path for path in options.type_paths if as_text(dig(document, path))]
            put(document, (paths or list(options.type_paths))[0], event)
        body = json.dumps(document).encode()
    headers = sign_with(scheme_of(options), body, secret, now, delivery_id)
    return Signed(headers=(("Content-Type", "application/json"), *headers), body=body)
