"""CloudEvents in our words: which delivery it is, and every event in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from schemas.events import EVENT_TYPES, EventDraft, Json
from service.vendors.base import Delivery
from service.vendors.cloudevents.modes import (
    BATCH,
    attributes,
    fault_of,
    is_binary,
    media_type,
    read_events,
)
from service.vendors.cloudevents.options import CloudEventsOptions
from service.vendors.places import shape_facts, tell_apart
from service.vendors.reading import as_key, as_mapping, as_name, as_text, as_time, body_id

MALFORMED = "malformed"
_OURS = frozenset(EVENT_TYPES)


def delivery_key(delivery: Delivery, _options: CloudEventsOptions) -> str:
    """Give the event's source and id; the body's digest for a batch or where they are missing."""
    if is_binary(delivery.headers):
        found = attributes(delivery.headers)
        source, id_ = as_text(found.get("source")), as_text(found.get("id"))
    elif media_type(delivery.headers) == BATCH:
        source = id_ = None
    else:
        source, id_ = (body_id(delivery, (name,)) for name in ("source", "id"))
    return as_key(identity(source, id_)) if source and id_ else delivery.body_digest()


def identity(source: str, id_: str) -> str:
    """Give `<source>/<id>`, which is unique for every event (CloudEvents 1.0.2, section 3.1.1).

    A slash in the id is written `%2F`: without that, two pairs could give one text.
    """
    return f"{source}/{quote(id_, safe=' :@!$&()*+,;=[]{}|<>~', errors='replace')}"


def normalise(delivery: Delivery, options: CloudEventsOptions) -> list[EventDraft]:
    """Give every event of a delivery; none for an empty batch.

    A malformed entry among good ones becomes `cloudevents.malformed`, known by its place.
    Raises ValueError when the delivery is not what the standard asks for.
    """
    drafts = [_read(entry, options) for entry in read_events(delivery)]
    if media_type(delivery.headers) == BATCH:
        return tell_apart(drafts)
    return drafts


def _read(entry: Json, options: CloudEventsOptions) -> EventDraft:
    if fault_of(entry) is not None:
        return EventDraft(type=f"cloudevents.{MALFORMED}", vendor_type=MALFORMED, payload=entry)
    event: dict[str, Any] = entry
    name = str(event["type"]).strip()
    ours = name if name in _OURS else None
    type_ = options.events.get(name) or ours or f"cloudevents.{as_name(name)}"
    return EventDraft(
        type=type_,
        vendor_type=as_name(name),
        subject=as_text(event.get("subject")),
        time=as_time(event.get("time")),
        facts=_facts(type_, event.get("data")) if type_ in _OURS else {},
        payload=event,
        fact=as_key(identity(event["source"], event["id"])),
    )


def _facts(type_: str, data: Json) -> dict[str, Json]:
    """Give the facts of a type of ours: another Hookwright has them in `facts`, below the data."""
    found = as_mapping(data)
    facts = found.get("facts")
    return shape_facts(type_, facts if isinstance(facts, Mapping) else found)
