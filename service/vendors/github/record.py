"""What GitHub has on record of a webhook: every delivery, and how it is had once more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import (
    CallContext,
    Delivery,
    Headers,
    Record,
    Recorded,
    RecordPage,
    Window,
    dig,
)
from service.vendors.github.answers import FullDelivery
from service.vendors.github.app_tokens import NOT_FOUND
from service.vendors.github.asking import UNPROCESSABLE
from service.vendors.github.events import normalise
from service.vendors.github.hooks import HookClient, HookOptions, place_of
from service.vendors.github.options import GitHubOptions
from service.vendors.reading import (
    as_key,
    as_list,
    as_text,
    as_texts,
    as_whole,
    is_form,
    read_form,
    read_object,
)
from service.vendors.trail import follow

_SOURCE = "hook_deliveries"
_HOOK = "x-github-hook-id"
_TARGET = "x-github-hook-installation-target-type"
_PLACES = {
    "repository": ("repository", "repository.full_name"),
    "organization": ("organization", "organization.login"),
}
"""By what a webhook belongs to: our option, and where the body tells its value."""
_TOO_LATE = frozenset({NOT_FOUND, UNPROCESSABLE})


def read(
    context: CallContext,
    options: HookOptions,
    window: Window,
    position: Mapping[str, Json] | None,
) -> RecordPage:
    """Give one page of what was delivered within the window, one entry for each GUID.

    GitHub lists the newest first, so a redelivery comes before what it repeats; the position
    carries the GUIDs of those, so that none is told twice.
    """
    known = position or {}
    told = {guid for guid in as_list(known.get("told")) if isinstance(guid, str)}
    page = HookClient(context).deliveries_page(place_of(options), as_text(known.get("cursor")))
    entries: list[Recorded] = []
    for row in page.rows:
        if not window.since <= row.delivered_at < window.until or row.guid in told:
            continue
        told.add(row.guid)
        entries.append(
            Recorded(
                reference=row.guid,
                time=row.delivered_at.astimezone(UTC),
                vendor_type=row.name,
                delivery_keys=(as_key(row.guid),),
                detail={"id": row.id, "status": row.status_code},
            )
        )
    is_past = bool(page.rows) and page.rows[-1].delivered_at < window.since
    followed = None if page.cursor is None else follow(as_texts(known.get("read")), page.cursor)
    if followed is None or is_past:
        return RecordPage(entries)
    return RecordPage(
        entries,
        {
            "cursor": page.cursor,
            "told": sorted(_repeated(page.rows, told)),
            "read": list(followed),
        },
    )


def _repeated(rows: Sequence[Any], told: set[str]) -> set[str]:
    """Give the GUIDs whose first delivery is still to come; those that have come are forgotten."""
    return told - {row.guid for row in rows if not row.redelivery}


def redeliver(context: CallContext, options: HookOptions, entry: Recorded) -> None:
    """Ask GitHub to send it once more. Raises Refused when it is older than three days."""
    try:
        HookClient(context).redeliver(place_of(options), _id_of(entry))
    except Refused as fault:
        if fault.status in _TOO_LATE:
            fault.hint = "GitHub sends again for three days only"
        raise


def restore(context: CallContext, options: HookOptions, entry: Recorded) -> list[EventDraft]:
    """Give the events of a delivery as if it had arrived. Raises Refused when it cannot be read."""
    full = HookClient(context).delivery(place_of(options), _id_of(entry))
    try:
        return events_of(full, options)
    except ValueError as fault:
        raise Refused(
            f"what GitHub sent as delivery {entry.reference} cannot be read: {fault}"
        ) from fault


def events_of(full: FullDelivery, options: HookOptions) -> list[EventDraft]:
    """Give what the delivery's own webhook would have given. Raises ValueError as that does."""
    payload = full.request.payload
    headers = {name.lower(): str(value) for name, value in full.request.headers.items()}
    # A form is shown as the JSON that was in it, so its kind does not fit any more.
    headers |= {
        "content-type": "application/json",
        "x-github-event": full.event,
        "x-github-delivery": full.guid,
    }
    delivery = Delivery(
        source=_SOURCE,
        headers=Headers(list(headers.items())),
        body=payload.encode() if isinstance(payload, str) else json.dumps(payload).encode(),
        received_at=full.delivered_at,
    )
    return normalise(delivery, GitHubOptions(ignore_senders=options.ignore_senders))


def learn(deliveries: Sequence[Delivery]) -> Mapping[str, Json]:
    """Give which webhook it is, from the headers and the body of the newest delivery.

    Nothing when the source is fed by several: then it has to be configured which one is meant.
    """
    hooks = {_hook_of(delivery) for delivery in deliveries} - {None}
    if len(hooks) != 1:
        return {}
    return next(filter(None, map(_learn_from, deliveries)), {})


def _hook_of(delivery: Delivery) -> tuple[str, str | None] | None:
    target = as_text(delivery.headers.first(_TARGET))
    return None if target is None else (target, as_text(delivery.headers.first(_HOOK)))


def _learn_from(delivery: Delivery) -> dict[str, Json]:
    target = as_text(delivery.headers.first(_TARGET))
    if target == "integration":
        return {"app": True}
    hook_id = as_whole(delivery.headers.first(_HOOK))
    if hook_id is None or hook_id < 1:
        return {}
    try:
        text = read_form(delivery.body, "payload") if is_form(delivery) else delivery.body
        body = read_object(text)
    except ValueError:
        return {}
    option, path = _PLACES.get(target or "", ("", ""))
    place = as_text(dig(body, path))
    return {option: place, "hook_id": hook_id} if place else {}


def _id_of(entry: Recorded) -> int:
    delivery_id = as_whole(entry.detail.get("id"))
    if delivery_id is None:
        raise Refused(f"the entry {entry.reference} does not name its delivery")
    return delivery_id


RECORDS = (
    Record(
        name=_SOURCE,
        summary="What GitHub delivered to a webhook in the last three days, or tried to",
        options=HookOptions,
        read=read,
        redeliver=redeliver,
        restore=restore,
        learn=learn,
    ),
)
