"""Values out of JSON texts that others wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from pydantic_core import from_json

from schemas.events import Json
from schemas.plain_words import json_in_plain_words
from schemas.storable import storable


def read_json(text: str | bytes) -> Json:
    """Give a JSON text as a value that a database can keep.

    Senders cut strings within a character and compute with NaN; that is no reason to lose their
    delivery. So broken UTF-8, NUL and lone surrogates become U+FFFD, NaN and infinities None.
    Raises ValueError for what is no JSON and for more than 200 levels.
    """
    plain = text if isinstance(text, str) else text.decode("utf-8-sig", "replace")
    with suppress(ValueError, TypeError):
        return storable(from_json(plain))
    # It has lone surrogates, or many levels, or is no JSON: slower, and with words for it.
    try:
        value = json.loads(plain, parse_constant=lambda _name: None)
    except json.JSONDecodeError as error:
        raise ValueError(json_in_plain_words(error)) from error
    except RecursionError as error:
        raise ValueError("the JSON is nested too deep") from error
    return storable(value)


def dig(value: Json, path: str) -> Json:
    """Follow a dotted path through mappings; None when any part is missing."""
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value
