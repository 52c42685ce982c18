"""Checkrd's alert history: asked as a poll, and compared with what was stored as a record.

Both give the very events that the webhooks give (`facts.py`). The history also has changes of
which the vendor sent nothing: of rules that tell by e-mail, that are muted or in their cooldown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus

from pydantic import Field

from schemas.config import Duration
from schemas.events import EventDraft, Json
from service.errors import Refused, VendorBroken
from service.vendors.base import (
    CallContext,
    Options,
    Poll,
    PollAnswer,
    Record,
    Recorded,
    RecordPage,
    Window,
)
from service.vendors.checkrd.alerts import MOST_RULES_ASKED
from service.vendors.checkrd.answers import HistoryEntry
from service.vendors.checkrd.calls import PAGE, Page, written
from service.vendors.checkrd.client import CheckrdClient
from service.vendors.checkrd.facts import alert_event
from service.vendors.checkrd.options import Identity
from service.vendors.reading import as_key, as_mapping, as_text, as_texts, as_time
from service.vendors.trail import follow

PAGES_AT_ONCE = 5
LONGEST_WINDOW = timedelta(days=1)
"""A list has its newest rows first, so a long time is asked in parts: the older part is told
before the newer one."""
MOST_TOLD = 2000
_LOST_CURSOR = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.GONE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


class AlertHistoryOptions(Options):
    """Which changes are read."""

    alert_rule_ids: tuple[str, ...] = Field(
        default=(), max_length=MOST_RULES_ASKED, description="Only the changes of these rules."
    )
    agent_id: str | None = Field(default=None, description="Only the changes of this agent.")
    all_states: bool = Field(
        default=False,
        description="Also the changes that neither fire nor resolve an alert (pending, ok, "
        "no_data).",
    )
    identity: Identity = Field(
        default="evaluation", description="How a change is known; the same as in the source."
    )

    def event_of(self, entry: HistoryEntry) -> EventDraft | None:
        """Give the event an entry is; None when it is not wanted."""
        event = alert_event(
            entry, entry.model_dump(mode="json"), entry_id=entry.id, identity=self.identity
        )
        if not self.all_states and not event.type.startswith("agent_alert."):
            return None
        known = event.fact or hashlib.sha256(entry.model_dump_json().encode()).hexdigest()
        return event.model_copy(update={"key": known})

    def page(
        self, context: CallContext, since: datetime, until: datetime, cursor: str | None
    ) -> Page[HistoryEntry]:
        """Give a page of the entries of this time."""
        return CheckrdClient.of(context).alert_history_page(
            since=since,
            until=until,
            alert_rule_ids=self.alert_rule_ids,
            agent_id=self.agent_id,
            limit=PAGE,
            cursor=cursor,
        )


class PolledHistoryOptions(AlertHistoryOptions):
    """Which changes are polled, and from when on."""

    look_back: Duration | None = Field(
        default=None, description="How far back the first question reaches; none: not at all."
    )
    overlap: Duration = Field(
        default=timedelta(minutes=10),
        # The poll goes forward by a day at a time and back by the overlap.
        le=timedelta(hours=12),
        description="What is asked again each time, for changes that the vendor lists late.",
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the poll is: within the time up to `until`, at this cursor, or before the next time.

    `begin` is where the poll began; nothing before it is told. `told` are the keys of what was
    told and may be read again, with the moment each is of; `followed` are the cursors up to here.
    """

    begin: datetime
    since: datetime
    until: datetime | None = None
    cursor: str | None = None
    told: Mapping[str, datetime] = field(default_factory=dict)
    followed: tuple[str, ...] = ()

    @classmethod
    def read(
        cls, position: Mapping[str, Json] | None, now: datetime, options: PolledHistoryOptions
    ) -> _Place:
        known = as_mapping(position)
        since = as_time(known.get("since"))
        if since is None:
            since = now - (options.look_back or timedelta())
        told = {
            key: moment
            for key, at in as_mapping(known.get("told")).items()
            if (moment := as_time(at))
        }
        begin, until = as_time(known.get("begin")) or since, as_time(known.get("until"))
        cursor = as_text(known.get("cursor")) if until else None
        followed = as_texts(known.get("followed")) if cursor else ()
        return cls(begin, since, until, cursor, told, followed)

    def write(self) -> dict[str, Json]:
        return {
            "begin": written(self.begin),
            "since": written(self.since),
            "until": written(self.until),
            "cursor": self.cursor,
            "followed": list(self.followed),
            "told": {key: written(at) for key, at in list(self.told.items())[-MOST_TOLD:]},
        }

    def behind(self, until: datetime, overlap: timedelta) -> _Place:
        """Give the place behind the time up to `until`, the overlap before it included."""
        since = max(self.begin, until - overlap)
        kept = {key: at for key, at in self.told.items() if at >= since}
        return _Place(self.begin, since, told=kept)


def ask_alert_history(
    context: CallContext, options: PolledHistoryOptions, position: Mapping[str, Json] | None
) -> PollAnswer:
    """Tell every change since the last question, each once, oldest first within an answer."""
    place = _Place.read(position, context.now, options)
    until = place.until or min(context.now, place.since + LONGEST_WINDOW)
    if until <= place.since:
        return PollAnswer([], place.write())
    found: dict[str, EventDraft] = {}
    cursor, followed = place.cursor, place.followed
    for number in range(PAGES_AT_ONCE):
        try:
            page = options.page(context, place.since, until, cursor)
        except Refused as fault:
            if number > 0 or cursor is None or fault.status not in _LOST_CURSOR:
                raise
            # The vendor forgot the stored cursor. Begun anew, the same facts are told again,
            # and what is stored already is not stored twice.
            page, followed = options.page(context, place.since, until, None), ()
        for entry in page.rows:
            event = options.event_of(entry)
            if event is not None and event.key not in place.told:
                found.setdefault(event.key, event)
        cursor = page.next_cursor
        if cursor is None:
            break
        followed = _followed(followed, cursor)
    events = sorted(found.values(), key=lambda event: event.time or until)
    near = {
        event.key: event.time or until
        for event in events
        if (event.time or until) >= until - options.overlap
    }
    told = {**place.told, **near}
    reached = replace(place, until=until, cursor=cursor, told=told, followed=followed)
    if cursor is None:
        reached = reached.behind(until, options.overlap)
    return PollAnswer(events, reached.write(), more=cursor is not None or until < context.now)


def _followed(followed: Sequence[str], cursor: str) -> tuple[str, ...]:
    """Give the cursors with this one. Raises VendorBroken for one that comes again."""
    further = follow(followed, cursor)
    if further is None:
        # Ending here would lose rows without a word.
        raise VendorBroken("Checkrd's alert history leads back to a page that was read, or on ever")
    return further


def read_alert_history(
    context: CallContext,
    options: AlertHistoryOptions,
    window: Window,
    position: Mapping[str, Json] | None,
) -> RecordPage:
    """Give a page of the changes within the window."""
    known = as_mapping(position)
    page = options.page(context, window.since, window.until, as_text(known.get("cursor")))
    entries = [
        Recorded(
            reference=event.key,
            time=event.time or window.since,
            vendor_type=event.vendor_type,
            # Where the webhook carries the entry's own id, the delivery tells it as well.
            delivery_keys=(as_key(entry.id),) if entry.id else (),
            events=(event,),
        )
        for entry in page.rows
        if (event := options.event_of(entry)) is not None
        and (event.time is None or window.since <= event.time < window.until)
    ]
    if page.next_cursor is None:
        return RecordPage(entries)
    followed = _followed(as_texts(known.get("followed")), page.next_cursor)
    return RecordPage(entries, {"cursor": page.next_cursor, "followed": list(followed)})


POLLS = (
    Poll(
        name="alert_history",
        summary="Alerts that fire and come to rest",
        options=PolledHistoryOptions,
        ask=ask_alert_history,
    ),
)
RECORDS = (
    Record(
        name="alert_history",
        summary="Every change of an alert rule's state, whether or not its webhook came",
        options=AlertHistoryOptions,
        read=read_alert_history,
    ),
)
