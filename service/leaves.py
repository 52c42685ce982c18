"""What a sealed row is hashed from: the columns of it that never change, as one text of bytes.

The same row gives the same bytes on SQLite and on PostgreSQL. What no writer of ours has written
(a time in another spelling, JSON with other blanks, text where bytes belong) is hashed as it
stands, so that every byte of a row counts and none makes reading fail.
"""

from __future__ import annotations

import json
from binascii import hexlify, unhexlify
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import to_json

from service.seal_form import joined, microseconds

_ROW = b"hookwright row 1"


class Kind(Enum):
    """What a column holds."""

    ID = "id"
    TEXT = "text"
    TIME = "time"
    PAIRS = "pairs"
    """JSON that is a list of lists of texts, as headers are."""
    JSON = "json"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that never changes."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Covered:
    """A table whose rows are sealed. The first column is its id.

    `whose` is the column that says from whom a row came.
    """

    name: str
    columns: tuple[Column, ...]
    whose: str


DELIVERIES = Covered(
    "deliveries",
    (
        Column("id", Kind.ID),
        Column("source_id", Kind.ID),
        Column("source", Kind.TEXT),
        Column("vendor", Kind.TEXT),
        Column("delivery_key", Kind.TEXT),
        Column("received_at", Kind.TIME),
        Column("headers", Kind.PAIRS),
        Column("body", Kind.BYTES),
    ),
    whose="source",
)
AUDIT_EVENTS = Covered(
    "audit_events",
    (
        Column("id", Kind.ID),
        Column("at", Kind.TIME),
        Column("by", Kind.TEXT),
        Column("role", Kind.TEXT),
        Column("action", Kind.TEXT),
        Column("subject", Kind.TEXT),
        Column("details", Kind.JSON),
        Column("request_id", Kind.TEXT),
        Column("remote", Kind.TEXT),
    ),
    whose="by",
)
COVERED = (DELIVERIES, AUDIT_EVENTS)


def row_hash(table: Covered, values: Sequence[bytes]) -> bytes:
    """Give the hash of a row from its encoded columns, in the table's order."""
    return sha256(joined(_ROW, table.name.encode(), *values)).digest()


# --- values as they are encoded -----------------------------------------------------------------

_NULL = b"n"
_ID, _TEXT, _TIME, _PAIRS, _JSON, _BYTES = b"i", b"s", b"t", b"p", b"j", b"b"
_AS_IT_STANDS = b"?"


def _as_it_stands(stored_as: str, raw: bytes) -> bytes:
    return _AS_IT_STANDS + stored_as.encode() + b":" + raw


def _time(moment: datetime) -> bytes:
    return b"%s%d" % (_TIME, microseconds(moment))


def _json(value: Any) -> bytes:
    return _JSON + _encode(value).encode()


def _number(text: str) -> float:
    # PostgreSQL gives 1e2 back as 100.
    number = float(text)
    return int(number) if number.is_integer() else number


_decode = json.JSONDecoder(parse_float=_number).decode
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
# Compact and with raw UTF-8, as the door writes it: for texts alone the form of RFC 8785.
_read_pairs = TypeAdapter(list[list[str]], config=ConfigDict(strict=True)).validate_json
_UNREADABLE = (ValueError, TypeError, RecursionError)


# --- values as PostgreSQL gives them ------------------------------------------------------------

_GIVEN: dict[Kind, Callable[[Any], bytes]] = {
    Kind.ID: lambda value: _ID + value.bytes,
    Kind.TEXT: lambda value: _TEXT + value.encode(),
    Kind.TIME: lambda value: _TIME + value.partition(".")[0].encode(),
    Kind.PAIRS: lambda value: _PAIRS + to_json(_read_pairs(value)),
    Kind.JSON: lambda value: _json(_decode(value)),
    Kind.BYTES: lambda value: _BYTES + value,
}


def reader_of_postgres(table: Covered) -> Callable[[Sequence[Any]], list[bytes]]:
    """Give what encodes a row of a table from the values that PostgreSQL gave.

    A time is asked for as microseconds since 1970, in text, and JSON as text.
    """
    givers = [_GIVEN[column.kind] for column in table.columns]

    def read(values: Sequence[Any]) -> list[bytes]:
        encoded = []
        for give, value in zip(givers, values, strict=True):
            try:
                encoded.append(_NULL if value is None else give(value))
            except _UNREADABLE:
                # Types are kept to there, so this is JSON that is not of our form.
                encoded.append(_as_it_stands("jsonb", str(value).encode()))
        return encoded

    return read


# --- values as SQLite keeps them ----------------------------------------------------------------


def kept_id(raw: bytes) -> bytes | None:
    """Give the 16 bytes of an id that is kept as hexadecimal text; None when it is none."""
    try:
        bare = unhexlify(raw)
    except ValueError:
        return None
    return bare if len(bare) == 16 and hexlify(bare) == raw else None  # noqa: PLR2004  # a UUID


def _kept_id(raw: bytes) -> bytes | None:
    bare = kept_id(raw)
    return None if bare is None else _ID + bare


def _kept_time(raw: bytes) -> bytes | None:
    moment = datetime.fromisoformat(raw.decode("ascii"))
    if moment.isoformat(sep=" ", timespec="microseconds").encode() != raw:
        return None
    return _time(moment.replace(tzinfo=UTC))


# Only JSON that is written as the door or SQLAlchemy writes it is taken for what it says: of two
# spellings of one value, one would otherwise be a byte that may be altered without notice.


def _kept_pairs(raw: bytes) -> bytes | None:
    value = _read_pairs(raw)
    form = to_json(value)
    return _PAIRS + form if form == raw or json.dumps(value).encode() == raw else None


def _kept_json(raw: bytes) -> bytes | None:
    value = _decode(raw.decode())
    return _json(value) if json.dumps(value).encode() == raw else None


_KEPT: dict[Kind, tuple[str, Callable[[bytes], bytes | None]]] = {
    Kind.ID: ("text", _kept_id),
    Kind.TEXT: ("text", lambda raw: _TEXT + raw),
    Kind.TIME: ("text", _kept_time),
    Kind.PAIRS: ("text", _kept_pairs),
    Kind.JSON: ("text", _kept_json),
    Kind.BYTES: ("blob", lambda raw: _BYTES + raw),
}


def reader_of_sqlite(table: Covered) -> Callable[[str, Sequence[bytes | None]], list[bytes]]:
    """Give what encodes a row of a table from what SQLite keeps.

    The columns' bytes come with the types that SQLite says they have, as `text text blob`.
    """
    expected = [_KEPT[column.kind] for column in table.columns]

    def read(types: str, values: Sequence[bytes | None]) -> list[bytes]:
        encoded = []
        for (type_, keep), stored_as, raw in zip(expected, types.split(), values, strict=True):
            if raw is None:
                encoded.append(_NULL)
                continue
            try:
                found = keep(raw) if stored_as == type_ else None
            except _UNREADABLE:
                found = None
            encoded.append(_as_it_stands(stored_as, raw) if found is None else found)
        return encoded

    return read
