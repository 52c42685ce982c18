"""What GitHub could not deliver, asked for: it never tries again by itself (vendors.md §6.1).

A delivery is judged once, when it is old enough that its row is there for certain: stretches of
time follow one another without gap or overlap, and each is read page by page, newest first. What
failed and was not sent again with success is read whole and told as the event it would have been,
with the fact that its webhook has, should that come after all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import CallContext, Poll, PollAnswer
from service.vendors.github.answers import HookDelivery
from service.vendors.github.app_tokens import NOT_FOUND
from service.vendors.github.asking import GONE
from service.vendors.github.hooks import HookClient, HookOptions, HookPlace, place_of
from service.vendors.github.record import events_of
from service.vendors.reading import as_list, as_text, as_texts, as_time, as_whole
from service.vendors.trail import follow

AT_ONCE = 20
"""Deliveries that are read whole in one asking."""
_GONE = frozenset({NOT_FOUND, GONE})


class HookPollOptions(HookOptions):
    """Which webhook, and how the reading begins."""

    first_hours: float = Field(
        default=1, ge=0, le=72, description="How many hours the first reading goes back."
    )
    settle_s: float = Field(
        default=90,
        ge=0,
        description="How many seconds after it was made a delivery is judged: GitHub waits up to "
        "10 s (Enterprise Server 30 s) for an answer.",
    )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of time that is being read.

    `cursor` leads to the next page (None: the first), `sent` are the GUIDs that arrived on a later
    try, `waiting` the failed deliveries that are still to be read whole. `read` are the cursors
    that were followed: one that comes again leads nowhere.
    """

    since: datetime
    until: datetime
    is_listed: bool = False
    cursor: str | None = None
    sent: tuple[str, ...] = ()
    waiting: tuple[int, ...] = ()
    read: tuple[str, ...] = ()

    def position(self) -> dict[str, Json]:
        """Give where the next asking goes on."""
        if self.is_listed and not self.waiting:
            return {"until": self.until.isoformat()}
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "is_listed": self.is_listed,
            "cursor": self.cursor,
            "sent": list(self.sent),
            "waiting": list(self.waiting),
            "read": list(self.read),
        }


def ask(
    context: CallContext, options: HookPollOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Read one page, and up to 20 deliveries that failed."""
    stretch = _stretch(context.now, options, position)
    if stretch.since >= stretch.until:
        return PollAnswer(events=(), position={"until": stretch.since.isoformat()})
    client, place = HookClient(context), place_of(options)
    if not stretch.waiting and not stretch.is_listed:
        stretch = _list(client, place, stretch)
    now, later = stretch.waiting[:AT_ONCE], stretch.waiting[AT_ONCE:]
    events = [event for number in now for event in _restored(client, place, number, options)]
    after = replace(stretch, waiting=later)
    return PollAnswer(
        events=events,
        position=after.position(),
        more=bool(later) or not after.is_listed,
    )


def _stretch(
    now: datetime, options: HookPollOptions, position: Mapping[str, Json] | None
) -> _Stretch:
    """Give the stretch that is under way, or else the next, which is empty if none has settled."""
    known = position or {}
    until, since = as_time(known.get("until")), as_time(known.get("since"))
    if until is not None and since is not None:
        return _Stretch(
            since=since,
            until=until,
            is_listed=known.get("is_listed") is True,
            cursor=as_text(known.get("cursor")),
            sent=as_texts(known.get("sent")),
            waiting=_numbers(known.get("waiting")),
            read=as_texts(known.get("read")),
        )
    settled = now - timedelta(seconds=options.settle_s)
    begin = until or settled - timedelta(hours=options.first_hours)
    return _Stretch(since=begin, until=settled)


def _numbers(value: Any) -> tuple[int, ...]:
    found = (as_whole(item) for item in as_list(value))
    return tuple(number for number in found if number is not None)


def _list(client: HookClient, place: HookPlace, stretch: _Stretch) -> _Stretch:
    """Read the next page of the stretch and sort what is on it."""
    page = client.deliveries_page(place, stretch.cursor)
    sent = set(stretch.sent)
    waiting: list[int] = []
    for row in page.rows:
        # A redelivery comes before the delivery it repeats, and that alone is judged.
        if row.redelivery and row.succeeded:
            sent.add(row.guid)
        elif not row.redelivery and stretch.since <= row.delivered_at < stretch.until:
            if not row.succeeded and row.guid not in sent:
                waiting.append(row.id)
            sent.discard(row.guid)
    read = None if page.cursor is None else follow(stretch.read, page.cursor)
    is_listed = read is None or _is_before(page.rows, stretch.since)
    return replace(
        stretch,
        is_listed=is_listed,
        cursor=page.cursor,
        sent=() if is_listed else tuple(sorted(sent)),
        waiting=tuple(waiting),
        read=() if is_listed else read or (),
    )


def _is_before(rows: Sequence[HookDelivery], since: datetime) -> bool:
    return bool(rows) and rows[-1].delivered_at < since


def _restored(
    client: HookClient, place: HookPlace, delivery_id: int, options: HookPollOptions
) -> list[EventDraft]:
    """Give the events of a failed delivery; none when GitHub has it no more or it says nothing."""
    try:
        full = client.delivery(place, delivery_id)
    except Refused as fault:
        if fault.status in _GONE:
            return []
        raise
    try:
        return events_of(full, options)
    except ValueError:
        # What its webhook would have left is a delivery without events, so there is none here.
        return []


POLLS = (
    Poll(
        name="hook_deliveries",
        summary="Events of a webhook's deliveries that failed and were not sent again",
        options=HookPollOptions,
        ask=ask,
    ),
)
