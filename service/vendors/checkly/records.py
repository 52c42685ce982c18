"""What Checkly itself has on record: alerts of checks, and test sessions.

The vendor cannot be asked to send a webhook again, so every entry carries the event that it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from schemas.events import Json
from service.vendors.base import CallContext, Record, Recorded, RecordPage, Window
from service.vendors.checkly.alert_rows import AlertRowOptions, read_alert
from service.vendors.checkly.client import client_of
from service.vendors.checkly.events import alert_key
from service.vendors.checkly.polling import row_event
from service.vendors.checkly.session_calls import SessionFilter
from service.vendors.checkly.session_events import SessionRule, session_event, status_of
from service.vendors.reading import as_mapping, as_text, as_texts
from service.vendors.trail import follow


def read_check_alerts(
    context: CallContext,
    options: AlertRowOptions,
    window: Window,
    position: Mapping[str, Json] | None,
) -> RecordPage:
    """Give one page of the alerts of that time, in the vendor's order."""
    known = as_mapping(position)
    number = as_text(known.get("page")) or "1"
    page = client_of(context).alerts.alerts_page(
        since=window.since, until=window.until, page=int(number)
    )
    entries = [_alert_entry(raw, options, window) for raw in page.raw]
    # A server that knows no pages gives the same one for every number.
    read = follow(as_texts(known.get("read")), json.dumps(page.raw))
    if page.next is None or read is None:
        return RecordPage(entries)
    return RecordPage(entries, {"page": page.next, "read": list(read)})


def _alert_entry(raw: Json, options: AlertRowOptions, window: Window) -> Recorded:
    alert = read_alert(raw, options)
    event = row_event(raw, options)
    result_id = alert.check_result_id
    keys = (alert_key(result_id, event.vendor_type),) if result_id else ()
    return Recorded(
        reference=as_text(as_mapping(raw).get("id")) or event.key,
        time=event.time or window.since,
        vendor_type=event.vendor_type,
        # Where the list names the result, a webhook is known by its key too: the start that the
        # webhook told may be another than the list's.
        delivery_keys=keys,
        events=(event,),
    )


def read_test_sessions(
    context: CallContext,
    options: SessionRule,
    window: Window,
    position: Mapping[str, Json] | None,
) -> RecordPage:
    """Give one page of the test sessions created in that time, each as it stands now."""
    wanted = SessionFilter(since=window.since, until=window.until)
    known = as_mapping(position)
    cursor = as_text(known.get("cursor"))
    page = client_of(context).sessions.page(wanted, cursor=cursor)
    entries = []
    for session, raw in zip(page.rows, page.raw, strict=True):
        if session.id is None:
            continue
        event = session_event(session, raw, status_of(session, options))
        entries.append(
            Recorded(
                # A session that is read again later may have ended meanwhile.
                reference=event.fact,
                time=session.created_at or session.started_at or window.since,
                vendor_type=event.vendor_type,
                events=(event,),
            )
        )
    read = None if page.next is None else follow(as_texts(known.get("read")), page.next)
    return RecordPage(entries, None if read is None else {"cursor": page.next, "read": list(read)})


RECORDS = (
    Record(
        name="check_alerts",
        summary="Every alert of every check",
        options=AlertRowOptions,
        read=read_check_alerts,
    ),
    Record(
        name="test_sessions",
        summary="Every test session, as it stands",
        options=SessionRule,
        read=read_test_sessions,
    ),
)
