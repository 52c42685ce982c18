"""Proof that a delivery comes from its source: schemes compiled to verifiers, and signing.

Here headers, times and templates are judged; how a sender signs is data
(`service/signing_scheme.py`), algorithms and encodings are in `service/signing_keys.py`. Nothing
here does I/O or reads the clock. A verifier gives nothing or raises SignatureError, for any bytes
whatever, and a wrong signature takes the same way as a right one: every candidate is compared with
every live secret, in constant time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import from_json

from service.errors import SignatureError
from service.signing_keys import Key, make_decoder, make_keys, sign_message
from service.signing_presets import PRESETS, preset
from service.signing_scheme import (
    HeaderName,
    HeaderNames,
    Knobs,
    Scheme,
    SecretEncoding,
    TimeUnit,
)

if TYPE_CHECKING:  # vendors import this module, so it must not import them when it runs
    from service.vendors.base import Delivery, Headers, Secret, Verifier

__all__ = [
    "MAX_CANDIDATES",
    "MAX_HEADER_CHARS",
    "PRESETS",
    "HeaderName",
    "HeaderNames",
    "Knobs",
    "Scheme",
    "SecretEncoding",
    "compile_verifier",
    "preset",
    "sign_with",
    "time_text",
]

MAX_HEADER_CHARS = 4096
MAX_ITEMS = 32
MAX_CANDIDATES = 10
_MAX_TIME_DIGITS = 15
_MAX_ISO_CHARS = 40
_SEPARATORS = {"none": "", "comma": ",", "space": " "}


class _Received(NamedTuple):
    """The texts of one delivery that the scheme speaks of; empty when it does not."""

    signature: str
    ts: str
    id: str


class _Items(NamedTuple):
    """What the signature header held: undecoded signatures of either kind, and its time."""

    plain: list[str]
    ed25519: list[str]
    ts: str


def compile_verifier(scheme: Scheme, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source: called with a delivery and the time, for every delivery.

    Several secrets may be live at once (rotation); each counts only inside its own window.
    SignatureError carries one of these reasons: `missing_header`, `repeated_header`,
    `malformed_header`, `malformed_time`, `stale`, `from_the_future`, `no_live_secret`,
    `signature_mismatch`.

    Raises ConfigurationError for no secret, an empty one, or one of another encoding.
    """
    return _SchemeVerifier(scheme, make_keys(scheme, secrets))


class _SchemeVerifier:
    """One scheme with its keys. A class because the parts below share what was compiled."""

    __slots__ = (
        "_always_live",
        "_decode",
        "_decode_ed25519",
        "_dotless_id",
        "_head",
        "_keys",
        "_scheme",
        "_separator",
        "_sets",
        "_tail",
        "_times_header",
        "_wanted",
    )

    def __init__(self, scheme: Scheme, keys: Sequence[Key]) -> None:
        self._scheme = scheme
        self._keys = tuple(keys)
        self._always_live = all(
            key.secret.not_before is None and key.secret.not_after is None for key in keys
        )
        sets = [
            _Received(names.signature.lower(), names.ts.lower(), names.id.lower())
            for names in scheme.header_sets
        ]
        self._sets = tuple((frozenset(filter(None, names)), names) for names in sets)
        self._wanted = frozenset[str]().union(*(needed for needed, _ in self._sets))
        self._head, self._tail = scheme.template.split("{body}")
        self._dotless_id = "{id}." in scheme.template
        self._separator = _SEPARATORS[scheme.item_separator]
        self._times_header = scheme.ts_source in {"header", "item"}
        self._decode = make_decoder(scheme.algorithm, scheme.encoding)
        self._decode_ed25519 = make_decoder("ed25519", "base64")

    def __call__(self, delivery: Delivery, now: datetime) -> None:
        scheme = self._scheme
        received = self._find(delivery.headers)
        items = self._split(received.signature)
        ts = received.ts or items.ts
        if self._times_header:
            _check_time(ts, scheme.ts_unit, now, scheme.tolerance_s)
        plain = _decoded(items.plain, self._decode)
        ed25519 = _decoded(items.ed25519, self._decode_ed25519) if items.ed25519 else []
        if not plain and not ed25519:
            raise SignatureError("malformed_header", "no signature of the expected form was sent")
        head = _fill(self._head, ts, received.id) if self._head else b""
        tail = _fill(self._tail, ts, received.id) if self._tail else b""
        keys = self._keys if self._always_live else [k for k in self._keys if k.is_live(now)]
        if not keys:
            raise SignatureError("no_live_secret", "no secret of this source is live now")
        matched = False
        for key in keys:
            # No early end: which secret matched, or that none did, must not show in the time.
            candidates = ed25519 if key.versioned else plain
            matched |= key.proves(candidates, head, delivery.body, tail)
        if not matched:
            raise SignatureError("signature_mismatch", "no live secret gives this signature")
        if scheme.ts_source == "body":
            # Only now: a body is not parsed before it is proven.
            ts = _text_at(delivery.body, scheme.ts_path)
            _check_time(ts, scheme.ts_unit, now, scheme.tolerance_s)

    def _find(self, headers: Headers) -> _Received:
        wanted = self._wanted
        found: dict[str, str] = {}
        for name, value in headers.items:
            if name in wanted:
                if name in found:
                    message = f"the header {name} was sent more than once"
                    raise SignatureError("repeated_header", message)
                if len(value) > MAX_HEADER_CHARS:
                    raise SignatureError("malformed_header", f"the header {name} is too long")
                found[name] = value
        for needed, names in self._sets:
            # One complete set counts; members of two sets never make one.
            if found.keys() >= needed:
                get = found.get
                texts = _Received(get(names.signature, ""), get(names.ts, ""), get(names.id, ""))
                if self._dotless_id and "." in texts.id:
                    # A dot would let `{id}.{ts}.{body}` be cut at another place.
                    raise SignatureError("malformed_header", "the message id holds a full stop")
                return texts
        raise SignatureError("missing_header", "a header that the signature needs was not sent")

    def _split(self, text: str) -> _Items:
        if not self._separator:
            return self._sort([text])
        parts = text.split(self._separator, MAX_ITEMS)
        if len(parts) > MAX_ITEMS:
            raise SignatureError("malformed_header", "the signature header has too many items")
        items = self._sort([part.strip(" ") for part in parts])
        if len(items.plain) + len(items.ed25519) > MAX_CANDIDATES:
            raise SignatureError("malformed_header", "too many signatures were sent")
        return items

    def _sort(self, parts: list[str]) -> _Items:
        scheme = self._scheme
        if scheme.item_format == "bare":
            return _Items(parts, [], "")
        if scheme.item_format == "prefix":
            prefix, size = scheme.prefix, len(scheme.prefix)
            return _Items([part[size:] for part in parts if part.startswith(prefix)], [], "")
        pairs = [
            part.partition("=" if scheme.item_format == "key_value" else ",") for part in parts
        ]
        ts = ""
        if scheme.ts_source == "item":
            times = [value for key, _, value in pairs if key == scheme.ts_key]
            if len(times) > 1:
                raise SignatureError("malformed_header", "the signature header has several times")
            ts = times[0] if times else ""
        plain = [value for key, _, value in pairs if key in scheme.signature_keys]
        ed25519 = [value for key, _, value in pairs if key in scheme.ed25519_keys]
        return _Items(plain, ed25519, ts)


def _decoded(texts: list[str], decode: Callable[[str], bytes | None]) -> list[bytes]:
    decoded = []
    for text in texts:
        found = decode(text)
        if found is not None:
            decoded.append(found)
    return decoded


def _fill(template: str, ts: str, id_: str) -> bytes:
    """Give the signed bytes before or after the body; the time is the text as received."""
    if not template:
        return b""
    text = template.replace("{ts}", ts).replace("{id}", id_)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise SignatureError("malformed_header", "a signed header holds odd characters") from None


def _check_time(text: str, unit: TimeUnit, now: datetime, tolerance_s: int | None) -> None:
    sent = _seconds(text, unit)
    if sent is None:
        raise SignatureError("malformed_time", "the time of the signature is missing or malformed")
    if tolerance_s is None:
        return
    age = now.timestamp() - sent
    if age > tolerance_s:
        raise SignatureError("stale", f"the delivery was signed {age:.0f} s ago")
    if age < -tolerance_s:
        raise SignatureError("from_the_future", f"the delivery was signed {-age:.0f} s ahead")


def _seconds(text: str, unit: TimeUnit) -> float | None:
    if unit == "iso":
        if len(text) > _MAX_ISO_CHARS:
            return None
        try:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if len(text) > _MAX_TIME_DIGITS or not (text.isascii() and text.isdigit()):
        return None
    return int(text) / 1000 if unit == "ms" else int(text)


def _text_at(body: bytes, path: str) -> str:
    try:
        value = from_json(body)
    except ValueError:
        return ""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) else ""


def time_text(now: datetime, unit: TimeUnit) -> str:
    """Give a time as a sender would write it."""
    if unit == "iso":
        return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(now.timestamp() * 1000) if unit == "ms" else int(now.timestamp()))


def sign_with(
    scheme: Scheme, body: bytes, secret: str, now: datetime, delivery_id: str
) -> tuple[tuple[str, str], ...]:
    """Give the headers a sender would add: signature, time, and ids where the scheme has them.

    `secret` is the sender's: for Ed25519 the private key (hex, or `whsk_` and base64), for ECDSA
    that key as base64 of its PKCS #8 DER. A time in the body is the caller's to set before
    signing. Raises ConfigurationError.
    """
    ts = time_text(now, scheme.ts_unit)
    head, tail = (
        part.replace("{ts}", ts).replace("{id}", delivery_id).encode("latin-1")
        for part in scheme.template.split("{body}")
    )
    text, version = sign_message(scheme, head + body + tail, secret)
    headers = {scheme.signature_header: _item(scheme, text, version, ts)}
    if scheme.ts_source == "header":
        headers[scheme.ts_header] = ts
    for name in (scheme.id_header, *scheme.id_headers[:1]):
        if name:
            headers[name] = delivery_id
    return tuple(headers.items())


def _item(scheme: Scheme, text: str, version: str, ts: str) -> str:
    if scheme.item_format == "prefix":
        return scheme.prefix + text
    if scheme.item_format == "version_value":
        return f"{version or scheme.signature_keys[0]},{text}"
    if scheme.item_format == "key_value":
        item = f"{version or scheme.signature_keys[0]}={text}"
        separator = _SEPARATORS[scheme.item_separator]
        return f"{scheme.ts_key}={ts}{separator}{item}" if scheme.ts_source == "item" else item
    return text
