"""A refused request: as the door gives it away, as a row of the quarantine, and whole again.

What is struck out of a row's headers, and the token of its path, stand beside it sealed like any
secret at rest: so a request can be verified again whose only proof is a header that nobody may
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from schemas.ids import new_id
from schemas.tables import RejectionRow
from service.door_request import kept_headers
from service.door_sources import LiveSource
from service.errors import ConfigurationError
from service.redaction import STRUCK
from service.secretbox import SecretBox
from service.signatures import PRESETS
from service.vendors.base import Delivery, Headers
from service.verification_facts import needed_headers

NO_SOURCE = "-"
"""The source of requests for names we do not know: one for all, and no name a source can have."""

MAX_HEADER_CHARS = 16 * 1024
HEADER_CHARS = 1024
"""What is kept of a value where the headers are too much together."""
SEALED_CHARS = 8 * 1024
"""A request with more than this in headers that are struck out is not kept whole."""
DETAIL_CHARS = 500
REMOTE_CHARS = 200
ADDRESS_CHARS = 200
_SECRET_WORDS = ("auth", "token", "secret", "password")

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused request. `reason` is a stable word, `detail` a sentence for our own people.

    `source` is None for a name that is no source's, `address` the name that was asked for and
    `token` what stood behind it. `size` is that of the whole body, None when it was not read;
    `body` may be less of it. `headers` are as they came.
    """

    source: LiveSource | None
    reason: str
    detail: str
    remote: str
    request_id: str
    received_at: datetime
    body: bytes
    size: int | None
    headers: Pairs
    address: str = ""
    token: str = ""

    @property
    def name(self) -> str:
        """The name it is counted under."""
        return NO_SOURCE if self.source is None else self.source.name

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is missing."""
        return self.size == len(self.body) and size_of(self.headers) <= MAX_HEADER_CHARS

    def identity(self) -> bytes:
        """Give a digest that is the same when the same delivery is sent once more.

        Where nobody knows what makes two deliveries the same, equal headers do.
        """
        source = self.source
        if source is None or source.incoming is None:
            beside = repr(self.headers)
        else:
            delivery = Delivery(source.name, Headers(self.headers), self.body, self.received_at)
            beside = source.incoming.delivery_key(delivery, source.options)
        beside = f"{self.token} {beside}"
        return sha256(sha256(self.body).digest() + beside.encode("utf-8", "replace")).digest()


@dataclass(frozen=True, slots=True)
class Whole:
    """What is needed to verify a refused request again: its headers as they came, its token."""

    headers: tuple[tuple[str, str], ...]
    token: str


def size_of(headers: Pairs) -> int:
    """Give the characters of names and values together."""
    return sum([len(name) + len(value) for name, value in headers])


def row_of(refused: Refused, box: SecretBox) -> RejectionRow:
    """Give the row of a refused request: secrets struck out of it, and sealed beside it."""
    came = refused.headers if size_of(refused.headers) <= MAX_HEADER_CHARS else _cut(refused)
    own = frozenset[str]() if refused.source is None else refused.source.secret_values
    proofs = _token_headers(refused.source)
    shown = [
        (
            name,
            STRUCK if name in proofs or any(word in name for word in _SECRET_WORDS) else value,
        )
        for name, value in kept_headers(came, own)
    ]
    hidden = {
        str(at): value
        for at, ((_, value), (_, seen)) in enumerate(zip(came, shown, strict=True))
        if value != seen
    }
    kept = [[_storable(name), _storable(value)] for name, value in shown]
    is_sealable = sum(map(len, hidden.values())) + len(refused.token) <= SEALED_CHARS
    complete = refused.is_whole and is_sealable and kept == [list(pair) for pair in shown]
    return RejectionRow(
        id=new_id(),
        source=refused.name,
        received_at=refused.received_at,
        reason=refused.reason,
        detail=_storable(refused.detail)[:DETAIL_CHARS],
        remote=_storable(refused.remote)[:REMOTE_CHARS],
        headers=kept,
        body=refused.body,
        body_bytes=refused.size or 0,
        complete=complete,
        address=None if refused.source else _printable(refused.address)[:ADDRESS_CHARS],
        sealed=_seal(hidden, refused.token, box) if complete else None,
    )


def restore(row: RejectionRow, box: SecretBox) -> Whole | None:
    """Give the headers and the token as they came; None when they were not kept whole.

    Also when they were sealed with a key that is gone.
    """
    if not row.complete:
        return None
    hidden: dict[str, Any] = {}
    token = ""
    if row.sealed is not None:
        try:
            opened = box.open(row.sealed)
        except ConfigurationError:
            return None
        hidden, token = opened["headers"], opened["token"]
    pairs = tuple(
        (name, hidden.get(str(at), value)) for at, (name, value) in enumerate(row.headers)
    )
    return Whole(pairs, token)


def _token_headers(source: LiveSource | None) -> frozenset[str]:
    """Give the headers in which a sender of this source gives its secret itself, right or wrong."""
    if source is None or source.incoming is None:
        return frozenset()
    options = source.options
    scheme = PRESETS.get(getattr(options, "scheme", ""))
    algorithm = getattr(options, "algorithm", "") if scheme is None else scheme.algorithm
    if algorithm != "token-equality":
        return frozenset()
    return frozenset(name.lower() for name in needed_headers(source.incoming, options))


def _seal(hidden: dict[str, str], token: str, box: SecretBox) -> bytes | None:
    return box.seal({"headers": hidden, "token": token}) if hidden or token else None


def _cut(refused: Refused) -> Pairs:
    """Give as much as is kept: first the long values are cut, so that a signature stays."""
    kept = []
    room = MAX_HEADER_CHARS
    for name, value in refused.headers:
        pair = name[:HEADER_CHARS], value[:HEADER_CHARS]
        room -= len(pair[0]) + len(pair[1])
        if room < 0:
            break
        kept.append(pair)
    return kept


def _printable(text: str) -> str:
    """Give a name that a terminal and a page can show; no source has one that is changed here."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _storable(text: str) -> str:
    """Give a text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
