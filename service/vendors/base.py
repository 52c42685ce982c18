"""What a vendor is: data plus functions.

A vendor's folder builds one `Vendor` value from the pieces below and exports it as `VENDOR`. There
is no base class to inherit, no database and no framework here: a vendor verifies bytes, reads
events from them and speaks to its own API; everything that lasts is kept by the caller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import EventDraft, Json
from schemas.plain_words import json_in_plain_words
from schemas.storable import storable
from service.errors import SignatureError

if TYPE_CHECKING:
    from service.http import VendorHttp


class Options(BaseModel):
    """Base of every vendor's typed options: immutable, unknown keys refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


_PER_MINUTE = Field(ge=0.01, le=100_000, allow_inf_nan=False)
PerMinute: TypeAlias = Annotated[float, _PER_MINUTE]
"""How many calls a minute: from one in 100 minutes up to more than any vendor allows."""
PerMinuteOrUsual: TypeAlias = Annotated[float | None, _PER_MINUTE]
"""The same where None leaves the vendor's usual rate in force."""


class Params(BaseModel):
    """Base of an action's parameters: immutable, unknown keys refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Outputs(BaseModel):
    """Base of an action's outputs, which workflows read as `steps.<id>.<field>`."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


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


ReadBack: TypeAlias = "Callable[[CallContext, Delivery, Any], list[EventDraft]]"
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


# --- outgoing ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls within any `seconds`, kept for one credential by all processes together.

    `covers(method, path)` says which calls count (None: all); `path` is what is called below the
    connection's `base_url`. Two rates of one vendor differ in `name`.
    """

    calls: int
    seconds: float = 60.0
    name: str = "all"
    covers: Callable[[str, str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """Authentication headers that end at a time (aware UTC), or only when they are refused."""

    headers: Mapping[str, str] = field(repr=False)
    expires_at: datetime | None = None


class FetchToken(Protocol):
    """Asks the vendor for headers that are good for a while, such as an installation's token."""

    def __call__(
        self, http: VendorHttp, credentials: Any, options: Any, now: datetime
    ) -> Token | None:
        """Give a fresh token; None when these credentials need none.

        `http` is the connection's own client and sends what the call names: `request(...,
        headers={...}, bare=True)` leaves out the connection's own authentication.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How a vendor's API is called.

    `credentials` and `options` are the typed forms of the configuration's sections.
    `headers` gives the authentication headers, `base_url` the vendor's own address. Where they
    must be asked for and renewed, `token` does so: its headers are kept until shortly before they
    end, and renewed once when a call is answered 401.
    `rates` are what our side keeps for one credential (vendors.md §0.3); the option `per_minute` of
    the connection replaces the calls of the first. When an answer says that no more than
    `keep_back` calls are left, no further call is made before the vendor's window begins anew.
    `check` asks the vendor who we are.
    """

    base_url: str
    credentials: type[BaseModel]
    options: type[Options]
    headers: Callable[[Any, Any], Mapping[str, str]]
    rates: tuple[Rate, ...]
    keep_back: int = 0
    token: FetchToken | None = None
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
    not; it raises when that cannot be told now. `key_lasts` is how long the vendor knows the key
    of a VENDOR_KEY action (None: for ever): a doubtful call is not repeated after that.
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
    key_lasts: timedelta | None = None


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What asking once gave: new events, and the position to ask from next time.

    `more` says that there is more to read at once. A poll reads few pages a time, so that a long
    list goes on where it was when a limit of the vendor or a crash stopped it.
    """

    events: Sequence[EventDraft]
    position: Mapping[str, Json]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """A question asked of a vendor again and again.

    `ask(context, options, position)` is given the position of the last answer (None at first).
    Events and position are stored in one transaction; an event's `fact`, or else its `key`, is the
    same whenever the same fact is read again, so that a crash repeats nothing.
    """

    name: str
    summary: str
    options: type[Options]
    ask: Callable[[CallContext, Any, Mapping[str, Json] | None], PollAnswer]


# --- what the vendor itself has on record ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, from `since` up to and without `until` (aware UTC)."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """One entry of a vendor's own record.

    `reference` names the entry at the vendor and is unique in its record; `time` is when it
    happened and `vendor_type` the vendor's name for it. What says that we have it already is
    either `delivery_keys` (any of them is the key under which its webhook was stored) or `events`
    (what the entry means in our words, each with its `fact`), or both. `detail` is what
    `redeliver` and `restore` need to know.
    """

    reference: str
    time: datetime
    vendor_type: str
    delivery_keys: tuple[str, ...] = ()
    events: tuple[EventDraft, ...] = ()
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A page of a record; `next` is given to the next reading, None when this was the last."""

    entries: Sequence[Recorded]
    next: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a vendor can be asked about events that should have reached us.

    `read(context, options, window, position)` gives one page of what happened within the window;
    `position` is None at first. An entry of which neither a delivery nor an event is stored is a
    gap. A gap whose entry has `events` is closed by storing them, marked as reconciled. Any other
    is closed by `redeliver`, which asks the vendor to send it once more (Refused when that is no
    longer possible), and where that is missing, refused or was in vain, by the events that
    `restore` reads from the API.
    `identities(delivery, source options)` gives further keys by which a stored delivery may be
    known (an id that is only in a header). `learn(deliveries)` gives options that need not be
    configured because the source's newest deliveries tell them; what is configured goes before.
    """

    name: str
    summary: str
    options: type[Options]
    read: Callable[[CallContext, Any, Window, Mapping[str, Json] | None], RecordPage]
    identities: Callable[[Delivery, Any], Collection[str]] | None = None
    redeliver: Callable[[CallContext, Any, Recorded], None] | None = None
    restore: Callable[[CallContext, Any, Recorded], list[EventDraft]] | None = None
    learn: Callable[[Sequence[Delivery]], Mapping[str, Json]] | None = None


# --- the vendor ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Guide:
    """What a person does at the vendor; printed by `source show` and on the vendor's page.

    `incoming` are the steps there after which webhooks come, `outgoing` those after which its API
    can be called; in both `{url}` stands for the address of the source. `notes` are what surprises
    people. `template` is a body to be pasted at the vendor, where it lets us choose one.
    `configuration` is what stands in hookwright.yaml then, as YAML.
    """

    pages: tuple[str, ...]
    configuration: str
    incoming: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """A product that sends us webhooks or that we call."""

    name: str
    title: str
    guide: Guide
    incoming: Incoming | None = None
    outgoing: Outgoing | None = None
    actions: tuple[Action, ...] = ()
    polls: tuple[Poll, ...] = ()
    records: tuple[Record, ...] = ()


def read_json(text: str | bytes) -> Json:
    """Give a JSON text as a value that a database can keep.

    Senders cut strings within a character and compute with NaN; that is no reason to lose their
    delivery. So broken UTF-8, NUL and lone surrogates become U+FFFD, NaN and infinities None.
    Raises ValueError for what is no JSON and for more than 200 levels.
    """
    plain = text if isinstance(text, str) else text.decode("utf-8-sig", "replace")
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
