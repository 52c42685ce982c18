"""Whatever may come: bodies and headers made from a seed, many in little time.

A seed is drawn by Hypothesis and makes a whole bundle of cases: drawing every leaf would take ten
times as long as what is tested. The same seed makes the same cases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Any
from urllib.parse import parse_qs, quote_plus

from service.vendors import samples
from service.vendors.base import Delivery, Headers

ODD_TEXTS = (
    *("", " ", "\x00", "\ud83d", "é", "ß" * 40, "\u202e", "null", "true", "[]", "{}", "..", "%"),
    *("1", "-1", "9" * 30, "1e309", "0x10", "1767225600", "1767225600000", "١٢"),
    *("2026-01-01", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00+14:00"),
    *("error", "run.failed", "test_run.failed", "check.failed", "a.b.c", "x" * 5000, "=" * 50),
    *("v1=", "v1,", "t=1,v1=00", "sha256=", "Bearer ", "Basic !!", "application/cloudevents+json"),
)
ODD_VALUES = (
    *(None, True, False, 0, -1, 10**40, 2**63, 0.5, 1e300, float("nan"), float("-inf")),
    *([], {}, [[]], {"": ""}, {"id": {"id": []}}, [None], [{}] * 3),
)
ODD_BODIES = (
    *(b"", b" ", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{", b"[" * 3000, b'{"a":' * 3000),
    *(b"payload=", b"payload=%7B%7D&payload=%7B%7D", b"null", b"[]", b"{}", b'"x"', b"NaN", b"1"),
    *(b'{"id":1,"id":2}', b'{"id":"\\ud800"}', b'{"type":"\\u0000"}', b"<xml/>", b"a=b&c=d"),
)
KEYS = ("", "id", "type", "event", "data", "action", "object", "x\x00", "0", "é")
_FORM = b"payload="


def any_text(random: Random) -> str:
    """Give a text that is odd in some way, or random letters of all planes."""
    if random.random() < 0.6:
        return random.choice(ODD_TEXTS)
    return "".join(chr(random.randrange(0x110000)) for _ in range(random.randrange(20)))


def any_json(random: Random, depth: int = 3) -> Any:
    """Give any JSON value."""
    kind = random.random()
    if depth and kind < 0.15:
        return [any_json(random, depth - 1) for _ in range(random.randrange(4))]
    if depth and kind < 0.35:
        keys = (random.choice(KEYS) for _ in range(random.randrange(4)))
        return {key: any_json(random, depth - 1) for key in keys}
    if kind < 0.55:
        return random.choice(ODD_VALUES)
    return random.randrange(-(2**70), 2**70) if kind < 0.65 else any_text(random)


def any_body(random: Random, vendor: str) -> bytes:
    """Give any bytes, any JSON, or a sample of the vendor's with something else at some places."""
    kind = random.random()
    if kind < 0.1:
        return random.choice(ODD_BODIES)
    if kind < 0.15:
        return random.randbytes(random.randrange(60))
    if kind < 0.25:
        return _dumped(any_json(random))
    raw, document, places = random.choice(_samples(vendor))
    if kind < 0.35 or document is None:
        return _damaged(random, raw)
    for _ in range(random.choice((1, 1, 2, 5))):
        document = _replaced(document, random.choice(places), any_json(random), random)
    form = raw.startswith(_FORM)
    return _FORM + quote_plus(_dumped(document)).encode() if form else _dumped(document)


def any_headers(random: Random, delivery: Delivery) -> Headers:
    """Give the headers with one of them changed, left out, cut or sent twice."""
    pairs = list(delivery.headers.items)
    at = random.randrange(len(pairs))
    name, value = pairs[at]
    kind = random.random()
    if kind < 0.2:
        del pairs[at]
    elif kind < 0.3:
        pairs.append((name, any_text(random)))
    elif kind < 0.5:
        cut = random.randrange(len(value) + 1)
        pairs[at] = (name, value[:cut] + any_text(random)[:3] + value[cut + 1 :])
    elif kind < 0.6:
        pairs[at] = (
            name,
            random.choice((",", " ", ";")).join([value] * random.choice((2, 12, 50))),
        )
    else:
        pairs[at] = (name, any_text(random))
    return Headers(pairs)


def _damaged(random: Random, raw: bytes) -> bytes:
    at = random.randrange(len(raw))
    return raw[:at] + random.randbytes(random.randrange(3)) + raw[at + random.randrange(3) :]


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@lru_cache
def _samples(vendor: str) -> tuple[tuple[bytes, Any, tuple[tuple[Any, ...], ...]], ...]:
    """Give each sample with its document (None when it is not JSON) and every place in it."""
    found = []
    for name in samples.names(vendor):
        raw = samples.read(vendor, name)
        text = parse_qs(raw.decode())["payload"][0] if raw.startswith(_FORM) else raw
        try:
            document = json.loads(text)
        except ValueError:
            found.append((raw, None, ()))
        else:
            found.append((raw, document, tuple(_places(document))))
    return tuple(found)


def _places(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give every place in a JSON value, itself among them."""
    items: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [so_far, *(place for key, inner in items for place in _places(inner, (*so_far, key)))]


def _replaced(value: Any, place: tuple[Any, ...], new: Any, random: Random) -> Any:
    """Give the value with another one at the place, or without it; where it still is there."""
    if not place:
        return new
    first, *rest = place
    there: Sequence[Any] = ()
    if isinstance(value, dict):
        there = list(value)
    elif isinstance(value, list):
        there = range(len(value))
    if first not in there:
        return value
    copy = dict(value) if isinstance(value, dict) else list(value)
    if not rest and random.random() < 0.2:
        del copy[first]
    else:
        copy[first] = _replaced(value[first], tuple(rest), new, random)
    return copy
