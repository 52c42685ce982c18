"""A Checkrd delivery: its key, and the one event it carries.

Two forms of body come: an alert's change as `{id, type, timestamp, data}`, and the general
envelope with a `schema_version` whose `data` names its own type (vendors.md §4.1). A bare entry
of the alert history is read too, as the first form is assumed to be one.
"""

from __future__ import annotations

from schemas.events import EventDraft, Json
from service.vendors.base import Delivery, dig
from service.vendors.checkrd.facts import ALERT, TYPES, agent_facts, alert_event, state_of
from service.vendors.checkrd.options import CheckrdOptions
from service.vendors.checkrd.payloads import AgentData, AlertChange
from service.vendors.reading import (
    as_key,
    as_mapping,
    as_name,
    as_time,
    as_whole,
    body_id,
    first_text,
    read_object,
)


def delivery_key(delivery: Delivery, options: CheckrdOptions) -> str:
    """Give the body's id, else the body's digest."""
    found = body_id(delivery, options.id_paths)
    return as_key(found) if found else delivery.body_digest()


def normalise(delivery: Delivery, options: CheckrdOptions) -> list[EventDraft]:
    """Give the event. Raises ValueError when the body is no JSON object or names no event."""
    body = read_object(delivery.body)
    data = as_mapping(dig(body, options.data_path)) or body
    change = AlertChange.model_validate(data)
    vendor_type = _vendor_type(body, change, options)
    time = next(filter(None, (as_time(dig(body, path)) for path in options.time_paths)), None)
    told = AgentData.model_validate(data)
    type_ = options.events.get(vendor_type) or TYPES.get(vendor_type)
    if _is_newer(body, options):
        # What a newer schema means is not known, so nothing is read from it but its name.
        type_ = None
    elif vendor_type.startswith(options.alert_prefixes) or (type_ or "").startswith("agent_alert."):
        event = alert_event(
            change,
            body,
            entry_id=first_text(body, options.history_id_paths),
            identity=options.identity,
            vendor_type=vendor_type,
            type_=options.events.get(vendor_type),
        )
        return [event if event.time else event.model_copy(update={"time": time})]
    own_id = first_text(body, options.id_paths)
    return [
        EventDraft(
            type=type_ or f"checkrd.{vendor_type}",
            vendor_type=vendor_type,
            subject=told.agent_id,
            time=time,
            facts=agent_facts(type_, told) if type_ else {},
            payload=body,
            fact=as_key(f"event:{own_id}") if own_id else "",
        )
    ]


def _vendor_type(body: Json, change: AlertChange, options: CheckrdOptions) -> str:
    named = first_text(body, options.type_paths)
    if named is not None:
        return as_name(named)
    if change.new_state is None:
        message = "the body names no type of event and no new state of a rule"
        raise ValueError(message)
    return f"{ALERT}{state_of(change)}"


def _is_newer(body: Json, options: CheckrdOptions) -> bool:
    """Say whether the envelope's version is above the one we know, or no version at all."""
    told = dig(body, options.schema_version_path)
    if told is None:
        return False
    version = as_whole(told)
    return version is None or version > options.schema_version
