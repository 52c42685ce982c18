"""Pages of a list, newest first. A cursor names the last row seen, so new rows shift nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from service.errors import Invalid

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_UUID_BYTES = 16
_CHECK_BYTES = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list, and the cursor of the rows after them."""

    rows: Sequence[T]
    next_cursor: str | None

    @property
    def has_more(self) -> bool:
        """Say whether there are rows after these."""
        return self.next_cursor is not None


def write_cursor(last: UUID, question: Mapping[str, object]) -> str:
    """Give the cursor that goes on after this row, for the same question only."""
    return base64.urlsafe_b64encode(last.bytes + _check(last, question)).decode().rstrip("=")


def read_cursor(cursor: str, question: Mapping[str, object]) -> UUID:
    """Give the row to go on after. Raises Invalid for anything that is no cursor of this list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("the cursor is none of ours") from error
    if len(raw) != _UUID_BYTES + _CHECK_BYTES:
        raise Invalid("the cursor is none of ours")
    last = UUID(bytes=raw[:_UUID_BYTES])
    if raw[_UUID_BYTES:] != _check(last, question):
        raise Invalid(
            "the cursor belongs to another list or other filters",
            hint="send the cursor with the filters of the first page, or begin again without it",
        )
    return last


def _check(last: UUID, question: Mapping[str, object]) -> bytes:
    plain = json.dumps(question, sort_keys=True, default=str).encode()
    return hashlib.blake2b(plain, key=last.bytes, digest_size=_CHECK_BYTES).digest()
