"""What a vendor itself has on record, to be compared with what was stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.events import EventDraft, Json
from service.vendors.base.incoming import Delivery
from service.vendors.base.options import Options
from service.vendors.base.outgoing import CallContext


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
