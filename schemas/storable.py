"""JSON that every database can hold, whatever a sender or a vendor put into it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from schemas.events import Json

MAX_JSON_DEPTH = 200
_TOO_DEEP = f"the JSON has more than {MAX_JSON_DEPTH} levels"
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_ODD = re.compile(rb"\\u0000|NaN|Infinity")
"""In the text of a value: what may have to be changed."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def bounded(text: str, length: int) -> str:
    """Cut a name to a column's length; two long ones that differ stay different."""
    text = storable(text)
    if len(text) <= length:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: length - len(digest) - 1]}:{digest}"


def storable(value: Json, levels: int = MAX_JSON_DEPTH, *, cut: bool = False) -> Any:
    """Give the value with NUL and lone surrogates as U+FFFD, NaN and infinities as None.

    Raises ValueError for more than `levels` levels of nesting; with `cut` what is deeper is None.
    """
    if type(value) in {dict, list} and _is_storable(value, levels):
        return value
    return _made_storable(value, levels, cut=cut)


def _is_storable(value: Json, levels: int) -> bool:
    """Say whether a value surely is so: nearly all are, and its text tells at a tenth of the cost.

    What it says of an innocent value that looks like none (many brackets) does no harm.
    """
    try:
        text = to_json(value)
    except ValueError:  # lone surrogates among it
        return False
    return text.count(b"{") + text.count(b"[") <= levels and _ODD.search(text) is None


def _made_storable(value: Json, levels: int, *, cut: bool) -> Any:
    if isinstance(value, str):
        if "\x00" in value:
            value = value.replace("\x00", "\ufffd")
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping | list | tuple):
        if levels == 0:
            if cut:
                return None
            raise ValueError(_TOO_DEEP)
        if isinstance(value, Mapping):
            return {
                _made_storable(str(k), 0, cut=cut): _made_storable(v, levels - 1, cut=cut)
                for k, v in value.items()
            }
        return [_made_storable(v, levels - 1, cut=cut) for v in value]
    return value


def without_depths(text: str) -> str:
    """Give a JSON text with null for what lies deeper than any database column is let hold.

    For texts that are nested deeper than the reader of JSON can follow.
    """
    kept: list[str] = []
    depth = begin = 0
    for found in _TEXT_OR_BRACKET.finditer(text):
        sign = found[0]
        if sign in "[{":
            depth += 1
            if depth == MAX_JSON_DEPTH + 1:
                kept += (text[begin : found.start()], "null")
        elif sign in "]}":
            if depth == MAX_JSON_DEPTH + 1:
                begin = found.end()
            depth -= 1
    # Brackets that never close stay open: the reader shall say so.
    return "".join((*kept, text[begin:] if depth <= MAX_JSON_DEPTH else ""))
