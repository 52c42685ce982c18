"""A request as it came, and how a vendor's webhooks are received."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from schemas.events import EventDraft, Json
from service.errors import SignatureError
from service.vendors.base.json_values import read_json
from service.vendors.base.options import Options
from service.vendors.base.outgoing import CallContext


@dataclass(frozen=True, slots=True)
class Secret:
    """One signing secret as displayed by the vendor, with the time it is live (None: open)."""

    value: str = field(repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Say whether the secret may be used at this time."""
        return (self.not_before is None or now >= self.not_before) and (
            self.not_after is None or now < self.not_after
        )


class Headers:
    """The headers of one request as they came, looked up without regard to case."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[tuple[str, str]]) -> None:
        """Take (name, value) pairs; names in lower case, values decoded as Latin-1."""
        self.items = items

    def values(self, name: str) -> list[str]:
        """Give every value sent under this name, in order."""
        wanted = name.lower()
        return [value for key, value in self.items if key == wanted]

    def one(self, name: str) -> str | None:
        """Give the value, or None when it was not sent.

        Raises SignatureError (`repeated_header`) when it was sent more than once: whoever sends
        two cannot be believed in either.
        """
        found = self.values(name)
        if len(found) > 1:
            raise SignatureError("repeated_header", f"the header {name} was sent more than once")
        return found[0] if found else None

    def first(self, name: str) -> str | None:
        """Give the first value, or None; for headers that decide nothing."""
        wanted = name.lower()
        for key, value in self.items:
            if key == wanted:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request as it came in, before or after it was stored."""

    source: str
    headers: Headers
    body: bytes
    received_at: datetime

    def json(self) -> Json:
        """Give the body as JSON. Raises ValueError when it is none."""
        return read_json(self.body)

    def body_digest(self) -> str:
        """Give the SHA-256 of the body as 64 hex digits: the delivery key of last resort."""
        return hashlib.sha256(self.body).hexdigest()


Verifier = Callable[[Delivery, datetime], None]
"""Gives nothing when the delivery is proven to come from the source at this time.

Raises SignatureError and nothing else, for any bytes whatever.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the door answers to a handshake."""

    status: int
    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as the vendor would send it."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


class Sign(Protocol):
    """Signs a body as the vendor would; for tests and the `send` command."""

    def __call__(
        self,
        body: bytes,
        secret: str,
        now: datetime,
        options: Any,
        *,
        event: str,
        delivery_id: str,
    ) -> Signed:
        """Give the headers and the body to send.

        `delivery_id` is put where this vendor's delivery key is read from, in header or body, so
        that two calls with two ids give two deliveries and two calls with one id give one.
        """
        ...


ReadBack: TypeAlias = Callable[[CallContext, Delivery, Any], list[EventDraft]]
"""Reads the truth that a delivery only hints at, by the vendor's API.

Given the context of the source's connection, the delivery and the source's options. Raises
Transient when it is too early to tell, and Refused when the vendor knows nothing of the kind.
"""


def _always_signed(_options: Any) -> bool:
    return False


def _no_handshake(_delivery: Delivery, _options: Any) -> Answer | None:
    return None


@dataclass(frozen=True, slots=True)
class Incoming:
    """How a vendor's webhooks are received.

    `verifier` compiles the check for a source once; it raises ConfigurationError when the
    options contradict each other or a secret is empty. `delivery_key` never raises: it falls back
    to the body's digest. `normalise` raises ValueError when the body is not what the vendor
    documents; an unknown type is no error but an event `<vendor>.<vendor type>`.
    `handshake` is asked after verification; an answer means that nothing is stored.
    `status_code` is what a stored delivery is answered with (Slack wants 200), with a body or
    without. `unsigned` says whether nothing is signed under these options; who asks for a secret
    or for the path token asks `wants_secret`.
    `types` is the table of the vendor's event names and ours, for pages; `*` stands for any name.
    `read_back` is for vendors that sign nothing: where the source has a connection, events are
    what it reads from the API, and the delivery is only the reason to ask.
    """

    options: type[Options]
    verifier: Callable[[Any, Sequence[Secret]], Verifier]
    delivery_key: Callable[[Delivery, Any], str]
    normalise: Callable[[Delivery, Any], list[EventDraft]]
    sign: Sign
    handshake: Callable[[Delivery, Any], Answer | None] = _no_handshake
    needs_secret: bool = True
    status_code: int = 202
    answer_body: bool = True
    unsigned: Callable[[Any], bool] = _always_signed
    types: Mapping[str, str] = field(default_factory=dict)
    read_back: ReadBack | None = None

    def wants_secret(self, options: Any) -> bool:
        """Say whether a source needs a secret; if not, the path token is what is demanded."""
        return self.needs_secret and not self.unsigned(options)
