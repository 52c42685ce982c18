"""A webhook of Checksum in our words, in the envelope that vendors.md §5.1 assumes.

None is documented. The names are those of the notifications that its connectors route.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from schemas.events import EventDraft, Json
from service.vendors.base import Delivery, dig
from service.vendors.checksum import facts
from service.vendors.checksum.options import BY_STATUS, EVENTS, ChecksumSourceOptions
from service.vendors.checksum.payloads import Batch, BugRow, TestRun
from service.vendors.checksum.signing import scheme_of
from service.vendors.reading import (
    as_key,
    as_mapping,
    as_name,
    as_time,
    body_id,
    first_text,
    header_text,
    read_object,
)

TYPES: Mapping[str, str] = {**EVENTS, "*": "checksum.*"}


class _Told(TypedDict):
    """What every event of a delivery has alike."""

    vendor_type: str
    payload: Json
    repository: str | None
    time: datetime | None


def delivery_key(delivery: Delivery, options: ChecksumSourceOptions) -> str:
    """Give the id of the header, else that of the body, else the body's digest."""
    found = header_text(delivery, scheme_of(options).id_headers) or body_id(
        delivery, options.id_paths
    )
    return as_key(found) if found else delivery.body_digest()


def normalise(delivery: Delivery, options: ChecksumSourceOptions) -> list[EventDraft]:
    """Give the one event; `checksum.<name>` for a name that is not known.

    Raises ValueError when the body is no JSON object or nothing names its event.
    """
    body = read_object(delivery.body)
    name = first_text(body, options.event_paths)
    if name is None:
        message = "the body names no event"
        raise ValueError(message)
    wanted = options.events.get(name, name)
    type_ = EVENTS.get(wanted) or (wanted if name in options.events else None)
    data = as_mapping(dig(body, options.data_path)) or body
    time = next(filter(None, (as_time(dig(body, path)) for path in options.time_paths)), None)
    draft = _read(type_, data, as_name(name), body, time, options)
    if draft is None:
        vendor_type = as_name(name)
        draft = EventDraft(
            type=f"checksum.{vendor_type}", vendor_type=vendor_type, time=time, payload=body
        )
    return [draft]


def _read(
    type_: str | None,
    data: dict[str, Json],
    vendor_type: str,
    body: Json,
    time: datetime | None,
    options: ChecksumSourceOptions,
) -> EventDraft | None:
    """Give the event of a run, heal or bug; None for anything else."""
    family = (type_ or "").partition(".")[0]
    if type_ is None or family not in {"test_run", "heal", "bug"}:
        return None
    told = _Told(vendor_type=vendor_type, payload=body, repository=options.repository, time=time)
    if family == "heal":
        batch = Batch.model_validate(data)
        if type_ == "heal.completed":
            type_ = facts.heal_type(batch, ended=True)
        return facts.heal_draft(batch, type_, **told)
    if family == "bug":
        row = BugRow.model_validate(data)
        fact = facts.bug_fact(row) if type_ == "bug.found" else facts.changed_bug_fact(row)
        return facts.bug_draft(row, type_, fact=fact, **told)
    run = TestRun.model_validate(data)
    found = facts.run_type(run, strict=options.strict) if type_ == BY_STATUS else type_
    return None if found is None else facts.run_draft(run, found, **told)
