"""What a sealed row is hashed from: the columns of it that never change, as one text of bytes.

The same row gives the same bytes on SQLite and on PostgreSQL. What no writer of ours has written
(a time in another spelling, JSON with other blanks, text where bytes belong) is hashed as it
stands, so that every byte of a row counts and none makes reading fail.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any

from pydantic_core import to_json

from service.seal_form import joined, microseconds

_ROW = b"hookwright row 1"


class Kind(Enum):
    """What a column holds, and the sign its hash begins with."""

    ID = b"i"
    TEXT = b"s"
    TIME = b"t"
    JSON = b"j"
    BYTES = b"b"


_NULL = b"n"
_AS_IT_STANDS = b"?"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that never changes."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Covered:
    """A table whose rows are sealed. The first column is its id.

    `time` is the column that says when a row came, `whose` the one that says from whom.
    """

    name: str
    columns: tuple[Column, ...]
    time: str
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
        Column("headers", Kind.JSON),
        Column("body", Kind.BYTES),
    ),
    time="received_at",
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
    time="at",
    whose="by",
)
COVERED = (DELIVERIES, AUDIT_EVENTS)


def row_hash(table: Covered, values: Sequence[bytes]) -> bytes:
    """Give the hash of a row from its encoded columns, in the table's order."""
    return sha256(joined(_ROW, table.name.encode(), *values)).digest()


# --- values as they are encoded -----------------------------------------------------------------


def null() -> bytes:
    """Give the encoding of no value."""
    return _NULL


def plain(kind: Kind, raw: bytes) -> bytes:
    """Give the encoding of an id (16 bytes), of a text in UTF-8 or of bytes."""
    return kind.value + raw


def as_it_stands(stored_as: str, raw: bytes) -> bytes:
    """Give the encoding of a value that none of ours would look like."""
    return _AS_IT_STANDS + stored_as.encode() + b":" + raw


def from_postgres(kind: Kind, value: Any) -> bytes:
    """Give the encoding of what PostgreSQL gave: a time in microseconds since 1970, JSON as text.

    There the types of columns are kept to, so only a number too large for us stands as it is.
    """
    if value is None:
        return null()
    if kind is Kind.JSON:
        with suppress(ValueError, RecursionError):
            return plain(kind, _canonical(json.loads(value, parse_float=_number)))
        return as_it_stands("jsonb", value.encode())
    return plain(kind, _GIVEN[kind](value))


_GIVEN: dict[Kind, Callable[[Any], bytes]] = {
    Kind.ID: lambda value: bytes(value.bytes),
    Kind.TEXT: str.encode,
    Kind.TIME: lambda value: str(value).partition(".")[0].encode(),
    Kind.BYTES: bytes,
}


# --- values as SQLite keeps them ----------------------------------------------------------------


def kept_id(raw: bytes) -> bytes | None:
    """Give the 16 bytes of an id that is kept as hexadecimal text; None when it is none."""
    with suppress(ValueError):
        bare = bytes.fromhex(raw.decode("ascii"))
        if len(bare) == 16 and bare.hex().encode() == raw:  # noqa: PLR2004  # bytes of a UUID
            return bare
    return None


def from_sqlite(kind: Kind, stored_as: str, raw: bytes | None) -> bytes:
    """Give the encoding of what SQLite keeps in a column, with the type it says it has."""
    if raw is None:
        return null()
    if stored_as != ("blob" if kind is Kind.BYTES else "text"):
        return as_it_stands(stored_as, raw)
    if kind in {Kind.BYTES, Kind.TEXT}:
        return plain(kind, raw)
    read = _READERS[kind](raw)
    return as_it_stands(stored_as, raw) if read is None else read


def _kept_id(raw: bytes) -> bytes | None:
    bare = kept_id(raw)
    return None if bare is None else plain(Kind.ID, bare)


def _kept_time(raw: bytes) -> bytes | None:
    with suppress(ValueError):
        moment = datetime.fromisoformat(raw.decode("ascii"))
        if moment.isoformat(sep=" ", timespec="microseconds").encode() == raw:
            return plain(Kind.TIME, str(microseconds(moment.replace(tzinfo=UTC))).encode())
    return None


def _kept_json(raw: bytes) -> bytes | None:
    # Only what is written as the door or SQLAlchemy writes it: of two spellings of one value, one
    # would otherwise be a byte that may be altered without anybody's notice.
    with suppress(ValueError, RecursionError):
        value = json.loads(raw.decode(), parse_float=_number)
        if to_json(value) == raw or json.dumps(value).encode() == raw:
            return plain(Kind.JSON, _canonical(value))
    return None


_READERS = {Kind.ID: _kept_id, Kind.TIME: _kept_time, Kind.JSON: _kept_json}


def _number(text: str) -> float:
    # PostgreSQL gives 1e2 back as 100.
    number = float(text)
    return int(number) if number.is_integer() else number


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
