"""A generic body in our words, by the paths of the options."""

from __future__ import annotations

from schemas.events import EventDraft
from service.vendors.base import Delivery, dig
from service.vendors.generic.options import GenericOptions
from service.vendors.generic.payloads import read_facts
from service.vendors.reading import (
    as_key,
    as_name,
    as_text,
    as_time,
    body_id,
    first_text,
    header_text,
    read_object,
)

UNKNOWN = "unknown"


def delivery_key(delivery: Delivery, options: GenericOptions) -> str:
    """Give the id of the header, else that of the body, else the body's digest."""
    naming = options.naming
    found = header_text(delivery, naming.id_headers) or body_id(delivery, naming.id_paths)
    return as_key(found) if found else delivery.body_digest()


def normalise(delivery: Delivery, options: GenericOptions) -> list[EventDraft]:
    """Give the one event; `generic.unknown` when nothing names it.

    Raises ValueError when the body is no JSON object.
    """
    body = read_object(delivery.body)
    naming = options.naming
    name = header_text(delivery, naming.event_headers) or first_text(body, naming.event_paths)
    type_ = options.events.get(name or UNKNOWN) or f"generic.{as_name(name or UNKNOWN)}"
    return [
        EventDraft(
            type=type_,
            vendor_type=as_name(name or UNKNOWN),
            subject=as_text(dig(body, options.subject_path)) if options.subject_path else None,
            time=next(
                filter(None, (as_time(dig(body, path)) for path in options.time_paths)), None
            ),
            facts=read_facts(type_, body, options.facts),
            payload=body,
        )
    ]
