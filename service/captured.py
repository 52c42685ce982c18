"""A captured delivery: one HTTP request from a file or from what the server kept.

Lives here: reading it, and what shows that it is not whole. Who signed it is found out in
`identification.py`.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.tables import DeliveryRow, RejectionRow
from service.errors import Invalid
from service.redaction import STRUCK
from service.vendors.base import Delivery, Headers

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_HEADERS = 200

_REQUEST_LINE = re.compile(rb"[A-Z]+ \S+ HTTP/\d(?:\.\d)?")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LINE_END = re.compile(rb"\r?\n")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?(?:\r?\n|\Z)")
_TRAILERS = re.compile(rb"(?:[^\r\n:]+:[^\r\n]*(?:\r?\n|\Z))*\s*")
_SHOWN_CHARS = 20
_NO_CHUNKS = (
    "Transfer-Encoding says that the body comes in chunks, and what stands here are none or not "
    "all of them: it was taken as it is, and a signature over it then fails if it was cut"
)
_HINT = (
    "write it as the request came: request line, headers, an empty line, then the body byte for "
    'byte; or as JSON: {"headers": {"Name": "value"}, "body": "..."} (or "body_base64")'
)


@dataclass(frozen=True, slots=True)
class Captured:
    """One request as it came, and what is known to be missing of it."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_at: datetime | None = None
    missing: tuple[str, ...] = ()

    def as_delivery(self, now: datetime) -> Delivery:
        """Give it as the door would have: header names in lower case."""
        items = [(name.lower(), value) for name, value in self.headers]
        return Delivery("captured", Headers(items), self.body, self.received_at or now)


def read_captured(data: bytes) -> Captured:
    """Read a request from the content of a file: raw HTTP, or JSON. Raises Invalid."""
    if len(data) > MAX_FILE_BYTES:
        raise Invalid(f"the file is larger than {MAX_FILE_BYTES // 1024**2} MiB")
    if data.lstrip()[:1] == b"{":
        return _of_json(data)
    return _of_http(data)


def captured_delivery(row: DeliveryRow) -> Captured:
    """Give a stored delivery as it was captured."""
    return _of_row(row.headers, row.body, len(row.body), row.received_at)


def captured_rejection(
    row: RejectionRow, headers: Sequence[tuple[str, str]] | None = None
) -> Captured:
    """Give a refused request as it was captured; its body may have been cut.

    `headers`: as they came, where what is struck out of the row was kept.
    """
    return _of_row(
        row.headers if headers is None else headers, row.body, row.body_bytes, row.received_at
    )


def _of_row(
    headers: Sequence[Sequence[str]], body: bytes, size: int, received_at: datetime
) -> Captured:
    pairs = tuple((name, value) for name, value in headers)
    struck = sorted({name for name, value in pairs if value == STRUCK})
    missing = []
    if len(body) < size:
        missing.append(
            f"only {len(body)} of {size} bytes of the body were kept, so no signature over it "
            "can be recomputed"
        )
    if struck:
        missing.append(
            f"the value of {', '.join(struck)} was struck out when the request was stored; whether "
            "a secret is sent there in plain cannot be told from it"
        )
    return Captured(pairs, body, received_at, tuple(missing))


def _of_http(data: bytes) -> Captured:
    # Editors and tools mend some line ends of a file and leave others.
    gap = _EMPTY_LINE.search(data)
    lines = _LINE_END.split(data[: gap.start()] if gap else data)
    if not _REQUEST_LINE.fullmatch(lines[0].strip()):
        raise Invalid("the file does not begin with a request line", hint=_HINT)
    if not gap:
        raise Invalid("no empty line ends the headers", hint=_HINT)
    pairs = []
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise Invalid(f"a line of the headers has no colon: {name[:40]!r}", hint=_HINT)
        pairs.append((name.strip(), value.strip()))
    headers, body = _checked(pairs), data[gap.end() :]
    if not _is_chunked(headers):
        return Captured(headers, body, missing=_wrong_length(headers, body))
    whole = _without_chunks(body)
    if whole is None:
        return Captured(headers, body, missing=(_NO_CHUNKS,))
    return Captured(headers, whole)


def _is_chunked(headers: Sequence[tuple[str, str]]) -> bool:
    codings = [value for name, value in headers if name.lower() == "transfer-encoding"]
    return bool(codings) and codings[-1].rpartition(",")[2].strip().lower() == "chunked"


def _without_chunks(body: bytes) -> bytes | None:
    """Give what chunks hold together (RFC 9112, section 7.1); None when these are none or cut."""
    parts: list[bytes] = []
    at = 0
    while True:
        line = _CHUNK_SIZE.match(body, at)
        if line is None:
            return None
        size, at = int(line[1], 16), line.end()
        if size == 0:
            return b"".join(parts) if _TRAILERS.fullmatch(body, at) else None
        end = _LINE_END.match(body, at + size)
        if end is None:
            return None
        parts.append(body[at : at + size])
        at = end.end()


def _wrong_length(headers: Sequence[tuple[str, str]], body: bytes) -> tuple[str, ...]:
    said = {value.strip() for name, value in headers if name.lower() == "content-length"}
    return tuple(
        f"Content-Length says {value[:_SHOWN_CHARS]} and the body here has {len(body)} bytes: it "
        "was perhaps cut or changed on its way into the file, and a signature over it then fails"
        for value in sorted(said - {str(len(body))})
    )


def _of_json(data: bytes) -> Captured:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the file is no JSON: {error}", hint=_HINT) from error
    if not isinstance(found, dict) or not isinstance(found.get("headers"), dict | list):
        raise Invalid("the JSON has no `headers`", hint=_HINT)
    given = found["headers"]
    pairs = list(given.items()) if isinstance(given, dict) else given
    if not all(
        isinstance(pair, list | tuple)
        and len(pair) == 2  # noqa: PLR2004  # a name and a value
        and all(isinstance(part, str) for part in pair)
        for pair in pairs
    ):
        raise Invalid("every header must be a name and a value, both texts", hint=_HINT)
    headers, body = _checked(pairs), _body_of(found)
    return Captured(headers, body, missing=_wrong_length(headers, body))


def _body_of(found: dict[str, Any]) -> bytes:
    given = [name for name in ("body", "body_base64") if name in found]
    if len(given) != 1 or not isinstance(found[given[0]], str):
        raise Invalid("the JSON needs `body` or `body_base64`, as a text", hint=_HINT)
    text = found[given[0]]
    try:
        if given[0] == "body":
            return text.encode()  # type: ignore[no-any-return]  # checked above to be a text
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise Invalid(f"`{given[0]}` cannot be read: {error}", hint=_HINT) from error


def _checked(pairs: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    if len(pairs) > MAX_HEADERS:
        raise Invalid(f"there are more than {MAX_HEADERS} headers")
    for name, _value in pairs:
        if not _NAME.fullmatch(name):
            raise Invalid(f"this is no name of a header: {name[:40]!r}", hint=_HINT)
    return tuple((name, value) for name, value in pairs)
