"""GitHub's signature: HMAC-SHA256 of the raw body, for JSON and for form-encoded bodies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from service.signatures import compile_verifier, preset, sign_with
from service.vendors.base import Secret, Signed, Verifier
from service.vendors.github.options import GitHubOptions
from service.vendors.reading import read_object

_SCHEME = preset("github")
_FORM = b"payload="


def verifier(_options: GitHubOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source. Raises ConfigurationError."""
    return compile_verifier(_SCHEME, secrets)


def sign(
    body: bytes,
    secret: str,
    now: datetime,
    options: GitHubOptions,  # noqa: ARG001  # the protocol's argument; GitHub has one scheme
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as GitHub would send it.

    `event` is `<event>` or `<event>.<action>`; the action is also set in a JSON object.
    """
    name, _, action = event.partition(".")
    form = body.startswith(_FORM)
    if action and not form:
        with suppress(ValueError):  # what is no JSON is sent as it is
            body = json.dumps({**read_object(body), "action": action}).encode()
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    own = (
        ("Content-Type", kind),
        ("User-Agent", "GitHub-Hookshot/044aadd"),
        ("X-GitHub-Event", name),
    )
    headers = sign_with(_SCHEME, body, secret, now, delivery_id)
    return Signed(headers=(*own, *headers), body=body)
