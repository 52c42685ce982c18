"""Places in a delivery where declared vendors keep what we read, and facts made of what is there.

A place is a dotted path in the body (`event.id`), a header after `@` (`@X-Shopify-Topic`), or
several of these joined by `+`, which all have to hold something. Of several places the first that
does counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TypeAlias

from pydantic import ValidationError

from schemas.events import FAMILIES, EventDraft, Facts, Json
from schemas.storable import storable
from service.vendors.base import Delivery, Headers, dig, read_json
from service.vendors.reading import as_key, as_text, as_time, body_id, header_text, put

Places: TypeAlias = tuple[str, ...]
FactReader: TypeAlias = Places | Callable[[Json], Json]
"""Where a fact lies, or what reads it from a body."""

MAX_ENTRIES = 10_000
"""Events in one delivery; senders of batches stay far below."""
HEADER, JOINED = "@", "+"
_UTC = " UTC"


def as_places(headers: Places, paths: Places = ()) -> Places:
    """Give names of headers, then paths of the body, as places."""
    return (*(f"{HEADER}{name}" for name in headers), *paths)


def key_at(delivery: Delivery, places: Places) -> str | None:
    """Give a delivery's id from the first place that has one, reading no more of the body."""
    for place in places:
        texts = [
            header_text(delivery, (part[1:],))
            if part.startswith(HEADER)
            else body_id(delivery, (part,))
            for part in place.split(JOINED)
        ]
        if all(texts):
            return ":".join(filter(None, texts))
    return None


def values_at(body: Json, headers: Headers, places: Places) -> Iterator[Json]:
    """Give what each place holds: one part as it is, joined parts as one text."""
    for place in places:
        parts = [
            storable(headers.first(part[1:])) if part.startswith(HEADER) else dig(body, part)
            for part in place.split(JOINED)
        ]
        if len(parts) == 1 and parts[0] is not None and parts[0] != "":  # not 0
            yield parts[0]
        elif len(parts) > 1 and all(map(as_text, parts)):
            yield ":".join(filter(None, map(as_text, parts)))


def text_at(body: Json, headers: Headers, places: Places) -> str | None:
    """Give the first text."""
    return next(filter(None, map(as_text, values_at(body, headers, places))), None)


def time_at(body: Json, headers: Headers, places: Places) -> datetime | None:
    """Give the first time; a zone may be written `UTC`, as GitLab and Buildkite do."""
    for value in values_at(body, headers, places):
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str) and text.endswith(_UTC):
            text = f"{text.removesuffix(_UTC)}+00:00"
        found = as_time(text)
        if found is not None:
            return found
    return None


def facts_at(
    type_: str, body: Json, headers: Headers, readers: Mapping[str, FactReader]
) -> dict[str, Json]:
    """Give the facts that are found, in the form of the type's family."""
    found: dict[str, Json] = {}
    for name, reader in readers.items():
        value = reader(body) if callable(reader) else next(values_at(body, headers, reader), None)
        if value is not None:
            put(found, name, value)
    return shape_facts(type_, found)


def shape_facts(type_: str, found: Mapping[str, Json]) -> dict[str, Json]:
    """Give facts in the form of their family; those of no family as they are.

    A number where the family wants a text becomes one, and what does not fit is left out.
    """
    family = FAMILIES.get(type_.partition(".")[0])
    if family is None:
        return dict(found)
    unfit = _unfit(family, found)
    mended = {name: as_text(value) if name in unfit else value for name, value in found.items()}
    unfit = _unfit(family, mended)
    fit = {name: value for name, value in mended.items() if name not in unfit}
    return family.model_validate(fit).model_dump(mode="json")


def _unfit(family: type[Facts], found: Mapping[str, Json]) -> set[str]:
    try:
        family.model_validate(found)
    except ValidationError as error:
        return {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
    return set()


def read_batch(body: bytes) -> list[Json]:
    """Give the entries of a JSON array, or the one object.

    Raises ValueError for anything else, for an empty array and for too many entries.
    """
    value = read_json(body)
    entries = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list) or not entries:
        message = "the body is JSON but neither an object nor an array with entries"
        raise ValueError(message)
    if len(entries) > MAX_ENTRIES:
        message = f"the body has {len(entries)} entries; {MAX_ENTRIES} are read at most"
        raise ValueError(message)
    return entries


def tell_apart(drafts: list[EventDraft]) -> list[EventDraft]:
    """Give the events of one batch, each once and with a key of its own.

    The key is the event's fact; where there is none it is the place in the batch, which is the
    same whenever the same batch is read.
    """
    told: dict[str, EventDraft] = {}
    for number, draft in enumerate(drafts):
        key = draft.fact or f"#{number}"
        told.setdefault(key, draft.model_copy(update={"key": as_key(key)}))
    return list(told.values())
