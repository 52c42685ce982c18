"""Ways of signing that no vendor's folder and no ready scheme describes, guessed from a request.

Given a request of an unknown sender, this lists the knobs (service/signing_scheme.py) that its
headers allow: which header may be the signature, in what form, over what. Whether one of them
holds is tried in `identification.py`. Bounded: a request cannot make the list longer than
MAX_GUESSES.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from service.signatures import MAX_HEADER_CHARS
from service.signing_keys import decode_base64
from service.vendors.base import Headers

MAX_GUESSES = 1_500
MAX_SIGNATURE_HEADERS = 6
MAX_TIMES = 4
MAX_IDS = 3

_ALGORITHMS = {20: ("hmac-sha1",), 32: ("hmac-sha256",), 64: ("hmac-sha512", "ed25519")}
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}[=: ]")
_ID_NAME = re.compile(r"(?:^|-)(?:id|uuid|delivery)$")
_WITH_TIME = (
    "{ts}.{body}",
    "{ts}{body}",
    "{ts}:{body}",
    "v0:{ts}:{body}",
    "{body}{ts}",
    "{body}.{ts}",
)
_WITH_ID = ("{id}.{ts}.{body}", "{id}{ts}{body}")
_SECONDS_DIGITS = 10
_MILLISECONDS_DIGITS = 13

# Headers that hold texts as long as a signature and never are one.
_NOT_SIGNATURES = frozenset(
    {"cookie", "traceparent", "user-agent", "x-request-id", "etag", "if-none-match", "host"}
)
Knobs = dict[str, Any]


class _Form(NamedTuple):
    """A header's value read as a signature: its knobs, and the item that is a time."""

    knobs: Knobs
    ts_key: str = ""


def signature_headers(headers: Headers) -> list[str]:
    """Give the names of headers whose values look like signatures, each once."""
    found = dict.fromkeys(
        name
        for name, value in headers.items
        if name not in _NOT_SIGNATURES and any(True for _ in _forms(value))
    )
    return list(found)[:MAX_SIGNATURE_HEADERS]


def guess_schemes(headers: Headers) -> Iterator[Knobs]:
    """Give knobs worth trying, the likeliest first, at most MAX_GUESSES."""
    return islice(_guesses(headers), MAX_GUESSES)


def _guesses(headers: Headers) -> Iterator[Knobs]:
    for name in signature_headers(headers):
        for form in _forms(headers.first(name) or ""):
            yield from _signed_contents(headers, name, form)
    for name, value in headers.items:
        if value and name not in _NOT_SIGNATURES and len(value) <= MAX_HEADER_CHARS:
            token = {"signature_header": name, "algorithm": "token-equality", "encoding": "text"}
            yield token
            if (prefix := _PREFIX.match(value)) is not None:
                yield {**token, "item_format": "prefix", "prefix": prefix[0]}


def _signed_contents(headers: Headers, name: str, form: _Form) -> Iterator[Knobs]:
    """Give the knobs for one form of one header: over the body alone, with times, with ids."""
    base = {"signature_header": name, **form.knobs}
    yield base
    of_item = _item_value(headers.first(name) or "", form)
    times = [
        *(
            {"ts_source": "item", "ts_key": form.ts_key, "ts_unit": unit}
            for unit in _units(of_item)
        ),
        *islice(_times(headers, without=name), MAX_TIMES),
    ]
    ids = [key for key, _ in headers.items if _ID_NAME.search(key) and key != name][:MAX_IDS]
    for time in times:
        for template in _WITH_TIME:
            yield {**base, **time, "template": template}
        for ident in ids:
            for template in _WITH_ID:
                yield {**base, **time, "id_header": ident, "template": template}


def _forms(value: str) -> Iterator[_Form]:
    """Give the ways in which a header's value is a signature, or a list with signatures in it."""
    if not value or len(value) > MAX_HEADER_CHARS:
        return
    for knobs in _encodings(value):
        yield _Form(knobs)
    prefix = _PREFIX.match(value)
    if prefix is not None:
        for knobs in _encodings(value[prefix.end() :]):
            yield _Form({"item_format": "prefix", "prefix": prefix[0], **knobs})
    for separator, mark in (("comma", ","), ("space", " "), ("none", "")):
        parts = [part.strip() for part in value.split(mark)] if mark else [value]
        pairs = dict(part.partition("=")[::2] for part in parts[:20] if "=" in part)
        ts_key = next((key for key, text in pairs.items() if any(_units(text))), "")
        for key, text in pairs.items():
            for knobs in _encodings(text) if separator != "none" else ():
                form = {"item_format": "key_value", "item_separator": separator}
                yield _Form({**form, "signature_keys": [key], **knobs}, ts_key)
    if " " in value or "," in value:
        version, _, text = value.split(" ", maxsplit=1)[0].partition(",")
        for knobs in _encodings(text) if version and "=" not in version else ():
            form = {"item_format": "version_value", "item_separator": "space"}
            yield _Form({**form, "signature_keys": [version], **knobs})


def _encodings(text: str) -> Iterator[Knobs]:
    """Give algorithm and encoding for a text that has a signature's length."""
    for encoding, read in (("hex", binascii.unhexlify), ("base64", decode_base64)):
        try:
            size = len(read(text))
        except ValueError:
            continue
        for algorithm in _ALGORITHMS.get(size, ()):
            yield {"algorithm": algorithm, "encoding": encoding}


def _item_value(value: str, form: _Form) -> str:
    mark = "," if form.knobs.get("item_separator") == "comma" else " "
    pairs = dict(part.strip().partition("=")[::2] for part in value.split(mark)[:20])
    return pairs.get(form.ts_key, "") if form.ts_key else ""


def _times(headers: Headers, *, without: str) -> Iterator[Knobs]:
    for name, value in headers.items:
        if name != without:
            for unit in _units(value):
                yield {"ts_source": "header", "ts_header": name, "ts_unit": unit}


def _units(text: str) -> Iterator[str]:
    """Give the unit in which a text is a time of our days."""
    if text.isascii() and text.isdigit():
        if len(text) == _SECONDS_DIGITS:
            yield "s"
        elif len(text) == _MILLISECONDS_DIGITS:
            yield "ms"
        return
    if "T" in text and len(text) <= 40:  # noqa: PLR2004  # the longest ISO text that is read
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return
        yield "iso"
