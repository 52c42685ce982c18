"""What a vendor is: data plus functions.

A vendor's folder builds one `Vendor` value from the pieces below and exports it as `VENDOR`. There
is no base class to inherit, no database and no framework here: a vendor verifies bytes, reads
events from them and speaks to its own API; everything that lasts is kept by the caller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

from schemas.events import EventDraft, Json
from schemas.storable import storable
from service.errors import SignatureError

if TYPE_CHECKING:
    from service.http import VendorHttp


class Options(BaseModel):
    """Base of every vendor's typed options: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Params(BaseModel):
    """Base of an action's parameters: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Outputs(BaseModel):
    """Base of an action's outputs, which workflows read as `steps.<id>.<field>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- incoming ---------------------------------------------------------------------------------


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
        found = self.values(name)
        return found[0] if found else None


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

    def wants_secret(self, options: Any) -> bool:
        """Say whether a source needs a secret; if not, the path token is what is demanded."""
        return self.needs_secret and not self.unsigned(options)


# --- outgoing ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How a vendor's API is called.

    `credentials` and `options` are the typed forms of the configuration's sections.
    `headers` gives the authentication headers, `base_url` the vendor's own address.
    `per_minute` is the rate that our side keeps per credential (vendors.md §0.3), `burst` how many
    calls may follow one another at once. `check` asks the vendor who we are.
    """

    base_url: str
    credentials: type[BaseModel]
    options: type[Options]
    headers: Callable[[Any, Any], Mapping[str, str]]
    per_minute: float
    burst: int
    check: Callable[[CallContext], str] | None = None


class Safety(StrEnum):
    """How an action is kept from being done twice (architecture.md, life of a delivery, 5)."""

    READ = "read"
    """It changes nothing outside and may be repeated freely."""
    VENDOR_KEY = "vendor_key"
    """The vendor honours our idempotency key."""
    FIND_AND_UPDATE = "find_and_update"
    """Repeating finds what was made and updates it; calls for one target are serialised."""
    NATURAL_KEY = "natural_key"
    """It is done once for its key, ever; a doubtful outcome is in doubt."""
    ONCE = "once"
    """It is done once for its step; a doubtful outcome is in doubt."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What an action or a poll may use.

    `idempotency_key` is the same on every retry of one step. `reference` is what the last effect
    on the same target left behind (a comment's id, a message's channel and ts), or None.
    `earlier(action)` gives the references of effects made by that action on this connection in
    the last seven days, newest first.
    """

    http: VendorHttp
    credentials: Any
    options: Any
    connection: str
    now: datetime
    idempotency_key: str = ""
    reference: Mapping[str, Json] | None = None
    earlier: Callable[[str], Sequence[Mapping[str, Json]]] = lambda _action: ()


@dataclass(frozen=True, slots=True)
class Done:
    """What an action gives back: its outputs, and what to remember about the thing outside.

    `changed` is False when the vendor already had what was wanted and nothing was called to
    change it. A `reference` of None keeps the one there was.
    """

    outputs: Outputs
    reference: Mapping[str, Json] | None = None
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Action:
    """Something a workflow step can use.

    `perform` raises Transient, RateLimited, TimedOut, ... or Permanent errors of service/errors.py.
    `key(params)` names what a NATURAL_KEY action does once; `target(params, connection options)`
    names the thing outside whose reference is kept and whose calls are serialised
    (`acme/webapp#42:visual`), or None when this call leaves nothing to come back to. `look_up`
    finds out whether a doubtful call took effect: Done when it did, None when it certainly did
    not; it raises when that cannot be told now.
    """

    name: str
    summary: str
    params: type[Params]
    outputs: type[Outputs]
    perform: Callable[[CallContext, Any], Done]
    safety: Safety
    key: Callable[[Any], str] | None = None
    target: Callable[[Any, Any], str | None] | None = None
    look_up: Callable[[CallContext, Any], Done | None] | None = None


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What asking once gave: new events, and the position to ask from next time."""

    events: Sequence[EventDraft]
    position: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Poll:
    """A question asked of a vendor again and again.

    `ask(context, options, position)` is given the position of the last answer (None at first).
    Events and position are stored in one transaction; an event's `key` is the same whenever the
    same fact is read again, so that a crash repeats nothing.
    """

    name: str
    summary: str
    options: type[Options]
    ask: Callable[[CallContext, Any, Mapping[str, Json] | None], PollAnswer]


@dataclass(frozen=True, slots=True)
class Vendor:
    """A product that sends us webhooks or that we call."""

    name: str
    title: str
    incoming: Incoming | None = None
    outgoing: Outgoing | None = None
    actions: tuple[Action, ...] = ()
    polls: tuple[Poll, ...] = ()


def read_json(text: str | bytes) -> Json:
    """Give a JSON text as a value that a database can keep.

    Senders cut strings within a character and compute with NaN; that is no reason to lose their
    delivery. So broken UTF-8, NUL and lone surrogates become U+FFFD, NaN and infinities None.
    Raises ValueError for what is no JSON and for more than 200 levels.
    """
    plain = text if isinstance(text, str) else text.decode("utf-8-sig", "replace")
    try:
        value = json.loads(plain, parse_constant=lambda _name: None)
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
