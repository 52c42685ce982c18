"""A CheckView source's check: nothing but the path token, or a secret in a header of one's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from service.errors import ConfigurationError
from service.signatures import Scheme, compile_verifier, sign_with
from service.vendors.base import Delivery, Secret, Signed, Verifier, dig
from service.vendors.checkview.options import CheckViewOptions
from service.vendors.reading import put, read_object


def scheme_of(header: str) -> Scheme:
    """Give the scheme of a secret that is sent as it is under this name."""
    return Scheme(signature_header=header, algorithm="token-equality", encoding="text")


def has_no_header(options: CheckViewOptions) -> bool:
    """Say whether the path token is the only proof."""
    return options.header is None


def verifier(options: CheckViewOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source; the door has compared the path token before.

    Raises ConfigurationError for a header without a secret, and for a secret without a header.
    """
    if options.header is not None:
        return compile_verifier(scheme_of(options.header), secrets)
    if secrets:
        raise ConfigurationError(
            "CheckView signs nothing, so a secret checks nothing by itself",
            hint="name the header that carries it in options.header, or leave it out",
        )
    return _accept


def _accept(_delivery: Delivery, _now: datetime) -> None:
    """Take what the path token has proven."""


def sign(
    body: bytes,
    secret: str,
    now: datetime,
    options: CheckViewOptions,
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as CheckView would send it; event and run id are also set in a JSON object."""
    with suppress(ValueError):  # what is no JSON is sent as it is
        document = read_object(body)
        for paths, text in ((options.run_id_paths, delivery_id), (options.event_paths, event)):
            if paths and text:
                there = (path for path in paths if dig(document, path) is not None)
                put(document, next(there, paths[0]), text)
        body = json.dumps(document).encode()
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    if options.header is not None:
        headers += sign_with(scheme_of(options.header), body, secret, now, delivery_id)
    return Signed(headers=headers, body=body)
