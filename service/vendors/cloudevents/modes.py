"""The three ways in which CloudEvents travel (http-protocol-binding 1.0.2, section 3)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import unquote

from schemas.events import Json
from schemas.storable import storable
from service.vendors.base import Delivery, Headers, read_json
from service.vendors.places import read_batch
from service.vendors.reading import read_object

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
PREFIX = "ce-"


def media_type(headers: Headers) -> str:
    """Give the kind of content without its parameters, in lower case."""
    return (headers.first("content-type") or "").partition(";")[0].strip().lower()


def is_binary(headers: Headers) -> bool:
    """Say whether the attributes are in headers and the body is the data alone."""
    return media_type(headers) not in {STRUCTURED, BATCH}


def attributes(headers: Headers) -> dict[str, str]:
    """Give the attributes of binary mode; section 3.1.3.2 has their values percent-encoded."""
    return {
        name.removeprefix(PREFIX): str(storable(unquote(value)))
        for name, value in headers.items
        if name.startswith(PREFIX)
    }


def read_events(delivery: Delivery) -> list[Json]:
    """Give every entry of a delivery in the form of structured mode.

    One malformed entry of a batch does not cost the others: it is among them, and `fault_of` tells
    it. Raises ValueError when no entry is what the standard asks for.
    """
    kind = media_type(delivery.headers)
    if kind == STRUCTURED:
        entries: list[Json] = [read_object(delivery.body)]
    elif kind == BATCH:
        # A batch may be empty (JSON batch format, section 4): it says nothing, rightly.
        entries = [] if delivery.body.strip() == b"[]" else read_batch(delivery.body)
    else:
        entries = [{**attributes(delivery.headers), **_data(delivery, kind)}]
    faults = [fault_of(entry) for entry in entries]
    if faults and all(faults):
        raise ValueError(faults[0])
    return entries


def fault_of(entry: Json) -> str | None:
    """Say why an entry is no CloudEvent; None when it is one."""
    if not isinstance(entry, Mapping):
        return "an entry of the batch is no JSON object"
    missing = [name for name in ("id", "source", "type") if not _is_text(entry.get(name))]
    return f"a CloudEvent without {', '.join(missing)}" if missing else None


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _data(delivery: Delivery, kind: str) -> dict[str, Json]:
    """Give the data of binary mode: JSON as it is, text as text, anything else as base64."""
    body = delivery.body
    if not body:
        return {}
    content = {"datacontenttype": str(storable(kind))} if kind else {}
    # Without a content type the data is JSON (CloudEvents 1.0.2, datacontenttype).
    if not kind or kind == "application/json" or kind.endswith("+json"):
        return {**content, "data": read_json(body)}
    try:
        return {**content, "data": storable(body.decode())}
    except UnicodeDecodeError:
        return {**content, "data_base64": base64.b64encode(body).decode()}
