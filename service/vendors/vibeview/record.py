"""What VibeView has on record: the attempts to deliver of the last 30 days (vendors.md §1.1).

The form of this list is not published. An event's id is what tells whether we have it; where the
row does not name it, it stands at the beginning of the excerpt of what was sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from pydantic import Field
from pydantic_core import from_json

from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import (
    CallContext,
    Delivery,
    Headers,
    Options,
    Record,
    Recorded,
    RecordPage,
    Window,
    dig,
    read_json,
)
from service.vendors.reading import (
    Text,
    as_key,
    as_mapping,
    as_text,
    as_texts,
    as_whole,
    body_id,
    first_text,
    header_text,
    put,
)
from service.vendors.vibeview.api.calling import Page
from service.vendors.vibeview.api.webhooks import WebhookDelivery
from service.vendors.vibeview.client import VibeViewClient
from service.vendors.vibeview.events import fact_of, normalise
from service.vendors.vibeview.options import VibeViewOptions
from service.vendors.vibeview.signing import delivery_headers

_MAY_BE_CUT = "-+.…eE0123456789"
"""What numbers are written with and cuts are shown by: at an excerpt's end it means nothing."""
_BEFORE_THE_END = frozenset(
    {"run.started", "visual.regression_warning", "visual.regression_detected"}
)
_LATER = frozenset(
    {
        "status",
        "passed",
        "failed",
        "finished_at",
        "duration_ms",
        "error_message",
        "visual_regression_status",
        "case_runs",
        "steps",
    }
)
"""What a run has only after its end, and events of before did not say."""

MOST_AGAIN = 2
"""How often a page may come again before it is the whole list."""
MOST_ATTEMPTS = 1_000_000
"""A list that seems to go on ends here."""
_UNSERVED = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


class DeliveriesOptions(Options):
    """Options of the record `deliveries`."""

    webhook_id: Text = Field(
        default=None,
        description="The webhook's id, from its page in VibeView; it is asked for when left out, "
        "which VibeView may not answer.",
    )
    page_size: int = Field(
        default=100, ge=1, le=1000, description="How many deliveries are asked for at once."
    )
    run_id_paths: tuple[str, ...] = Field(
        default=("data.run_id", "run_id"), description="Where a body names its run."
    )
    body: VibeViewOptions = Field(
        default_factory=VibeViewOptions,
        description="How the source's bodies are read: what the source has as options.",
    )


def read_deliveries(
    context: CallContext,
    options: DeliveriesOptions,
    window: Window,
    position: Mapping[str, Json] | None,
) -> RecordPage:
    """Give one page of the attempts that began within the window.

    Every redelivery adds an attempt at the list's beginning and pushes the rest along, so a page
    may begin with entries of the page before: those are left out, and none is missed. It may even
    be the page before, once; a third time it is all that a server has which knows no pages.
    """
    known = as_mapping(position)
    client = VibeViewClient(context.http)
    webhook_id = options.webhook_id or as_text(known.get("webhook_id")) or _only_webhook(client)
    offset = as_whole(known.get("offset")) or 0
    page = client.webhooks.delivery_page(webhook_id, offset=offset, limit=options.page_size)
    if not page.places:
        return RecordPage([])
    entries = _entries(page.rows, options, window, webhook_id)
    before = set(as_texts(known.get("seen")))
    fresh = [entry for name, entry in entries.items() if name not in before]
    offset += page.places
    digest = _digest(page.rows)
    again = (as_whole(known.get("again")) or 0) + 1 if known.get("page") == digest else 0
    if again >= MOST_AGAIN or offset >= MOST_ATTEMPTS:
        return RecordPage(fresh)
    if page.total is not None:
        is_last = offset >= page.total
    else:
        is_last = not known and not _goes_on(client, webhook_id, options, page)
    if is_last or _reaches_before(page.rows, window.since):
        return RecordPage(fresh)
    return RecordPage(
        fresh,
        {
            "webhook_id": webhook_id,
            "offset": offset,
            "seen": list(entries),
            "page": digest,
            "again": again,
        },
    )


def _digest(rows: Sequence[WebhookDelivery]) -> str:
    written = json.dumps([row.model_dump(mode="json") for row in rows])
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def _goes_on(
    client: VibeViewClient,
    webhook_id: str,
    options: DeliveriesOptions,
    first: Page[WebhookDelivery],
) -> bool:
    """Say whether the list has a second page, which a server that knows no pages has not.

    It is asked for before anything is redelivered: afterwards another page may look the same.
    """
    offset = first.places
    if offset > options.page_size:
        return False
    second = client.webhooks.delivery_page(webhook_id, offset=offset, limit=options.page_size)
    return bool(second.rows) and second.rows != first.rows


def _only_webhook(client: VibeViewClient) -> str:
    """Give the id of the one webhook there is. Raises Refused that says what to configure."""
    hint = "set webhook_id under reconcile.records.deliveries of the source to the webhook's id"
    try:
        hooks = client.webhooks.all()
    except Refused as fault:
        if fault.status not in _UNSERVED:
            raise
        message = "VibeView does not tell which webhooks there are"
        raise Refused(message, status=fault.status, hint=hint) from fault
    ids = [hook.id for hook in hooks if hook.id is not None]
    if len(ids) != 1:
        found = ", ".join(f"{hook.id} ({hook.url})" for hook in hooks) or "none"
        raise Refused(f"VibeView has no single webhook but these: {found}", hint=hint)
    return ids[0]


def _reaches_before(rows: Sequence[WebhookDelivery], since: datetime) -> bool:
    """Say whether only older rows follow: rows are newest first, and the last is older."""
    times = [row.created_at for row in rows if row.created_at is not None]
    newest_first = all(newer >= older for newer, older in pairwise(times))
    return bool(times) and newest_first and times[-1] < since


def _entries(
    rows: Sequence[WebhookDelivery], options: DeliveriesOptions, window: Window, webhook_id: str
) -> dict[str, Recorded]:
    """Give an entry for each event within the window; its newest attempt there stands for all."""
    found: dict[str, Recorded] = {}
    for row in rows:
        sent = read_excerpt(row.payload_excerpt)
        event_id = row.event_id or first_text(sent, options.body.id_paths)
        reference = event_id or row.id
        # A row without a time cannot be ruled out; what is stored already is no gap anyway.
        time = row.created_at or window.since
        if reference is None or not window.since <= time < window.until:
            continue
        if reference in found and found[reference].time >= time:
            continue
        found[reference] = Recorded(
            reference=reference,
            time=time,
            vendor_type=row.event_type or first_text(sent, options.body.event_paths) or "unknown",
            delivery_keys=tuple(dict.fromkeys(as_key(id_) for id_ in (event_id, row.id) if id_)),
            detail={
                "webhook_id": webhook_id,
                "delivery_id": row.id,
                "event_id": event_id,
                "run_id": first_text(sent, options.run_id_paths),
                "sent": sent,
                "whole": _is_whole(row.payload_excerpt),
            },
        )
    return found


def read_excerpt(excerpt: Json) -> dict[str, Any]:
    """Give what can be read of a JSON object that was cut off somewhere; it may be nothing."""
    if not isinstance(excerpt, str):
        return as_mapping(excerpt)
    if _is_whole(excerpt):
        return as_mapping(read_json(excerpt))
    try:
        # A number at the end may have lost digits, and three dots are no JSON.
        value = from_json(excerpt.rstrip(_MAY_BE_CUT), allow_partial=True)
        return as_mapping(read_json(json.dumps(value)))
    except ValueError:
        return {}


def _is_whole(excerpt: Json) -> bool:
    if not isinstance(excerpt, str):
        return isinstance(excerpt, Mapping)
    try:
        return isinstance(read_json(excerpt), Mapping)
    except ValueError:
        return False


def identities(delivery: Delivery, options: VibeViewOptions) -> Collection[str]:
    """Give every id by which VibeView may list a stored delivery: the delivery's, the event's."""
    found = (
        header_text(delivery, delivery_headers(options)),
        header_text(delivery, (options.delivery_header,)),
        body_id(delivery, options.delivery_id_paths),
        body_id(delivery, options.id_paths),
    )
    return {as_key(text) for text in found if text}


def redeliver(context: CallContext, options: DeliveriesOptions, entry: Recorded) -> None:
    """Ask VibeView to send this event once more.

    Raises Refused for an event without an id: a redelivery may bring a new delivery id, and then
    nothing would tell it from another event.
    """
    webhook_id = as_text(entry.detail.get("webhook_id")) or options.webhook_id
    delivery_id = as_text(entry.detail.get("delivery_id"))
    if webhook_id is None or delivery_id is None or not entry.detail.get("event_id"):
        raise Refused("VibeView's record names no id by which a redelivery would be known again")
    VibeViewClient(context.http).webhooks.redeliver(webhook_id, delivery_id)


def restore(context: CallContext, options: DeliveriesOptions, entry: Recorded) -> list[EventDraft]:
    """Give the events of a delivery that never came, from the excerpt and the run it is about.

    What was sent goes before what the run is by now; lists that were cut come from the run.
    Raises Refused when the record holds too little.
    """
    read_as = options.body
    sent = as_mapping(entry.detail.get("sent"))
    if entry.detail.get("whole"):
        return _events(entry, sent, read_as)
    run_id = as_text(entry.detail.get("run_id"))
    if run_id is None and not sent:
        raise Refused(
            f"VibeView's record of {entry.reference} neither holds what was sent nor names a run"
        )
    run = {} if run_id is None else _run(context, run_id, entry.vendor_type)
    data = as_mapping(dig(sent, read_as.data_path))
    if not data:  # the body is flat, or was cut before its data began
        return _events(entry, _completed(sent, run), read_as)
    body = deepcopy(sent)
    put(body, read_as.data_path, _completed(data, run))
    return _events(entry, body, read_as)


def _completed(cut: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    whole = {name: value for name, value in cut.items() if not isinstance(value, list)}
    return {**cut, **run, **whole}


def _run(context: CallContext, run_id: str, vendor_type: str) -> dict[str, Any]:
    """Give how the run stands, as far as it was so when the event happened.

    Nothing when VibeView has the run no more.
    """
    try:
        run = VibeViewClient(context.http).ci.run_document(run_id)
    except Refused as fault:
        if fault.status != HTTPStatus.NOT_FOUND:
            raise
        return {}
    later = _LATER if vendor_type in _BEFORE_THE_END else frozenset[str]()
    return {name: value for name, value in run.items() if value is not None and name not in later}


def _events(
    entry: Recorded, body: Mapping[str, Json], read_as: VibeViewOptions
) -> list[EventDraft]:
    """Read a body as if it had been delivered; each event has an identity of its own."""
    named = Headers([(read_as.event_header.lower(), entry.vendor_type)])
    delivery = Delivery("", named, json.dumps(body).encode(), entry.time)
    drafts = normalise(delivery, read_as)
    event_id = as_text(entry.detail.get("event_id"))
    delivery_id = as_text(entry.detail.get("delivery_id")) or entry.reference
    kind, name = ("event", event_id) if event_id else ("delivery", delivery_id)
    return [
        draft.model_copy(
            update={"time": draft.time or entry.time, "fact": fact_of(kind, name, draft.key)}
        )
        for draft in drafts
    ]


RECORDS = (
    Record(
        name="deliveries",
        summary="Every attempt to deliver an event in the last 30 days",
        options=DeliveriesOptions,
        read=read_deliveries,
        identities=identities,
        redeliver=redeliver,
        restore=restore,
    ),
)
