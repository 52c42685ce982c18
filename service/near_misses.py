"""Small changes of a secret or a body after which a signature is right, as they happen in practice.

Each comes with words that complete "matches if ...".
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

_FORM = re.compile(rb"[^\s=&]+=[^\s&]*(?:&[^\s=&]+=[^\s&]*)*")
MAX_COMPRESSED_BYTES = 256 * 1024
"""Larger bodies are not compressed only to see whether they were once."""


def other_secrets(secret: str) -> Iterator[tuple[str, str]]:
    """Give what the secret may have been meant to be."""
    bare = secret.strip()
    if bare != secret:
        yield "the spaces or line breaks around the secret are removed", bare
    quoted = bare[1:-1]
    if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'":  # noqa: PLR2004  # two quotes
        yield "the quotes around the secret are removed", quoted
    yield "a line break is added to the secret", f"{bare}\n"
    head, mark, tail = bare.partition("_")
    if mark and tail and head.startswith("wh"):
        yield f"`{head}_` is removed from the secret", tail
    elif bare:
        yield "`whsec_` is put before the secret", f"whsec_{bare}"


def other_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give what the body may have been before something on its way touched it."""
    if body.endswith(b"\r\n"):
        yield "the line break at the end of the body is removed", body[:-2]
    elif body.endswith(b"\n"):
        yield "the line break at the end of the body is removed", body[:-1]
    if body.strip() != body:
        yield "the white space around the body is removed", body.strip()
    yield "a line break is added to the body", body + b"\n"
    yield "CR LF is added to the body", body + b"\r\n"
    if b"\r\n" in body:
        yield "the CR LF in the body are line feeds", body.replace(b"\r\n", b"\n")
    elif b"\n" in body:
        yield "the line feeds in the body are CR LF", body.replace(b"\n", b"\r\n")
    mark = b"\xef\xbb\xbf"
    if body.startswith(mark):
        yield "the byte order mark before the body is removed", body.removeprefix(mark)
    yield from _recoded(body)
    yield from _forms(body)
    yield from _json_texts(body)
    yield "the body is empty", b""
    yield from _compressed(body)


def _recoded(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the body in the encoding from which something may have brought it into another."""
    if body.isascii():
        return
    try:
        text = body.decode()
    except UnicodeDecodeError:
        yield "the body is in UTF-8, not in Latin-1", body.decode("latin-1").encode()
        return
    for encoding in ("latin-1", "cp1252", "utf-16-le"):
        try:
            yield f"the body is in {encoding}, not in UTF-8", text.encode(encoding)
        except UnicodeEncodeError:
            continue


def _forms(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give a form as others write it."""
    if not _FORM.fullmatch(body):
        return
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return
    for words, escape in _ESCAPES:
        try:
            text = urlencode(pairs, quote_via=escape)
        except UnicodeError:
            return
        yield f"the form of the body is written {words}", text.encode()
        lower = re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)
        yield f"the form of the body is written {words} and small hex digits", lower.encode()


def _browser(text: str, _safe: str, encoding: str, errors: str) -> str:
    return quote_plus(text, "*", encoding, errors).replace("~", "%7E")


def _sparing(text: str, _safe: str, encoding: str, errors: str) -> str:
    return quote(text, "!*'()", encoding, errors)


_ESCAPES: tuple[tuple[str, Callable[..., str]], ...] = (
    ("with + for spaces", quote_plus),
    ("with %20 for spaces", quote),
    ("as browsers write it", _browser),
    ("with %20 and few escapes", _sparing),
)


def _json_texts(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give JSON as others write it."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    for words, knobs, swaps in _SERIALISED:
        try:
            text = json.dumps(value, **knobs)
            for old, new in swaps:
                text = text.replace(old, new)
            encoded = text.encode()
        except (ValueError, RecursionError):  # half of a surrogate pair can only be escaped
            continue
        yield f"the JSON of the body is written {words}", encoded
        yield f"the JSON of the body is written {words} and a line break", encoded + b"\n"


def _compressed(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the body as it was before something unpacked it."""
    if not body or len(body) > MAX_COMPRESSED_BYTES:
        return
    for words, bits in (("gzip", 31), ("deflate", 15)):
        for level in (6, 9, 1):
            packer = zlib.compressobj(level, zlib.DEFLATED, bits)
            yield f"the body is compressed with {words}", packer.compress(body) + packer.flush()


_COMPACT = {"separators": (",", ":"), "ensure_ascii": False}
_ESCAPED = {"separators": (",", ":"), "ensure_ascii": True}
_HTML = (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e"))
_Swaps = tuple[tuple[str, str], ...]

_SERIALISED: tuple[tuple[str, dict[str, Any], _Swaps], ...] = (
    ("without spaces", _COMPACT, ()),
    ("without spaces and with \\u escapes", _ESCAPED, ()),
    ("with a space after every comma and colon", {"ensure_ascii": False}, ()),
    ("with spaces and \\u escapes", {"ensure_ascii": True}, ()),
    ("with an indent of two", {"indent": 2, "ensure_ascii": False}, ()),
    ("with an indent of four", {"indent": 4, "ensure_ascii": False}, ()),
    ("with its keys sorted", {**_COMPACT, "sort_keys": True}, ()),
    ("as Go writes it, with < > & escaped", _COMPACT, _HTML),
    ("as Go writes it, with its keys sorted", {**_COMPACT, "sort_keys": True}, _HTML),
    ("as PHP writes it, with / escaped", _ESCAPED, (("/", "\\/"),)),
)
