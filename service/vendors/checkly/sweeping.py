"""Reading a list again and again without losing or repeating what is in it.

Each sweep reads everything since a time that lies a little before the newest thing seen, because
vendors list things late and clocks differ. What was told is kept as long as it can be read again.
The order of the list does not matter. A sweep goes on where it was: its place is in the position.
A page that comes a second time begins the sweep once again, for the list may have grown by a page;
where that happens again, the list has no more to give and the sweep ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.events import EventDraft, Json
from service.errors import Refused
from service.vendors.base import PollAnswer
from service.vendors.reading import as_list, as_mapping, as_text, as_texts, as_time
from service.vendors.trail import follow

PAGES_A_TIME = 2
IDLE_REACH = timedelta(hours=6)
"""When nothing new is seen, a sweep still reaches back no further: an old list is not read for
ever, and no two clocks differ by so much."""
KEPT_LONGER = timedelta(hours=1)
"""What was told is kept for this much longer than it should be listed."""
_NO_SUCH_PLACE = frozenset({400, 404, 410})


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a sweep reaches back.

    `overlap`: before the newest thing seen. `look_back`: when the list is asked for the first time.
    `give_up`: how long a thing that has not ended is waited for.
    """

    overlap: timedelta
    look_back: timedelta
    give_up: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing in the list: what it is, the state it is in, and the time the list goes by."""

    mark: str
    state: str
    at: datetime | None
    make: Callable[[], EventDraft | None]
    has_ended: bool = True


ReadPage = Callable[[datetime, str | None], tuple[Sequence[Sighting], str | None]]
"""Given the time since when and the place of the page, gives its things and the next place."""


@dataclass(slots=True)
class _Sweep:
    since: datetime
    place: str | None
    newest: datetime | None
    open_since: datetime | None
    begun_again: bool
    told: dict[str, list[str]]
    read: tuple[str, ...] = ()

    def position(self) -> dict[str, Json]:
        return {
            "since": self.since.isoformat(),
            "place": self.place,
            "newest": self.newest.isoformat() if self.newest else None,
            "open_since": self.open_since.isoformat() if self.open_since else None,
            "begun_again": self.begun_again,
            "told": self.told,
            "read": list(self.read),
        }


def sweep(
    position: Mapping[str, Json] | None, *, now: datetime, reach: Reach, read: ReadPage
) -> PollAnswer:
    """Read the next pages and tell what is new or in another state, oldest first."""
    state = _read_position(position, now - reach.look_back)
    events: list[EventDraft] = []
    for _ in range(PAGES_A_TIME):
        try:
            sightings, following = read(state.since, state.place)
        except Refused as fault:
            if state.place is None or state.begun_again or fault.status not in _NO_SUCH_PLACE:
                raise
            # The place is not known any more; what was told is, so the sweep begins once again.
            _begin_again(state)
            break
        for sighting in sightings:
            _look(sighting, state, events, now, reach)
        shown = "\n".join(sighting.mark for sighting in sightings) or state.place or ""
        further = follow(state.read, shown)
        if further is None and following is not None and not state.begun_again:
            _begin_again(state)
            break
        state.place, state.read = following, further or ()
        if following is None or further is None:
            state.place = None
            _end(state, now, reach)
            events.sort(key=lambda event: event.time or now)
            return PollAnswer(events, state.position())
    events.sort(key=lambda event: event.time or now)
    return PollAnswer(events, state.position(), more=True)


def _begin_again(state: _Sweep) -> None:
    state.place, state.read, state.begun_again = None, (), True


def _look(
    sighting: Sighting,
    state: _Sweep,
    events: list[EventDraft],
    now: datetime,
    reach: Reach,
) -> None:
    # A time ahead of our clock must not move the beginning of the next sweep ahead of it too.
    at = min(sighting.at or now, now)
    state.newest = max(state.newest or at, at)
    if not sighting.has_ended and now - at < reach.give_up:
        state.open_since = min(state.open_since or at, at)
    before = state.told.get(sighting.mark)
    if before is None or before[0] != sighting.state:
        event = sighting.make()
        if event is not None:
            events.append(event)
    state.told[sighting.mark] = [sighting.state, at.isoformat()]


def _end(state: _Sweep, now: datetime, reach: Reach) -> None:
    since = max(state.since, now - IDLE_REACH)
    if state.newest is not None:
        since = max(since, state.newest - reach.overlap)
    if state.open_since is not None:
        # What has not ended must still be listed when it does.
        since = min(since, state.open_since)
    kept_since = since - KEPT_LONGER
    state.told = {
        mark: seen for mark, seen in state.told.items() if (as_time(seen[1]) or now) >= kept_since
    }
    state.since, state.newest, state.open_since, state.begun_again = since, None, None, False
    state.read = ()


def _read_position(position: Mapping[str, Json] | None, first: datetime) -> _Sweep:
    known = as_mapping(position)
    told = {
        mark: texts
        for mark, value in as_mapping(known.get("told")).items()
        if len(texts := [text for item in as_list(value) if (text := as_text(item))]) == 2  # noqa: PLR2004  # state and time
    }
    return _Sweep(
        since=as_time(known.get("since")) or first,
        place=as_text(known.get("place")),
        newest=as_time(known.get("newest")),
        open_since=as_time(known.get("open_since")),
        begun_again=known.get("begun_again") is True,
        told=told,
        read=as_texts(known.get("read")),
    )
