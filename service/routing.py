"""New events are stored, start the runs that they match, and wake the runs that await them."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.events import EventDraft
from schemas.run_tables import RunRow
from schemas.storable import bounded
from schemas.tables import EventRow
from service.approvals import take_decisions
from service.db import Session
from service.event_form import event_view
from service.own_events import KEY_LENGTH, Announce, own_event
from service.runtime import Runtime
from service.starting import DIRECT, Hand, start_matching
from service.store import deliveries as store
from service.unit_of_work import UnitOfWork
from service.waking import wake_waiting

__all__ = ["account_of_untied", "announcer", "event_view", "store_and_route", "stored_before"]


def store_and_route(
    runtime: Runtime,
    work: UnitOfWork,
    events: Sequence[EventRow],
    hand: Hand | None = None,
) -> list[EventRow]:
    """Store what is new of these events and act upon it; gives the new ones.

    `hand`: who has let an older delivery be read anew, and with it starts what they match.
    """
    known = _known_formerly(work.session, events)
    fresh = [event for event in events if event.dedupe_key not in known]
    new = store.store_events(work.session, fresh)
    routed = [(event, event_view(event)) for event in new if event.type not in DIRECT]
    # Runs that have begun before gates: the order in which locks are taken (store/gates.py).
    wake_waiting(work, routed, now=runtime.clock())
    take_decisions(work, new, now=runtime.clock(), announce=announcer(runtime))
    start_matching(runtime, work, routed, hand)
    return new


def announcer(runtime: Runtime, caused_by: RunRow | None = None) -> Announce:
    """Give what makes events of ours out of what changes here. `caused_by`: the run that does."""

    def announce(work: UnitOfWork, draft: EventDraft, key: str) -> None:
        event = own_event(draft, key=key, now=runtime.clock(), caused_by=caused_by)
        store_and_route(runtime, work, [event])

    return announce


def account_of_untied(source: str) -> str:
    """Give what facts of a source belong to whose account is not known."""
    return f"source:{source}"


def stored_before(session: Session, events: Sequence[EventRow]) -> dict[str, EventRow]:
    """Give those stored events, by the keys of these, that tell of the same facts as these do."""
    former = _known_formerly(session, events)
    keys = {event.dedupe_key: former.get(event.dedupe_key, event.dedupe_key) for event in events}
    found = store.events_by_key(session, set(keys.values()))
    return {key: found[stored] for key, stored in keys.items() if stored in found}


def _known_formerly(session: Session, events: Sequence[EventRow]) -> dict[str, str]:
    """Give the former keys of facts that came by their source before it was tied to its account."""
    former: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for event in events:
        beginning, _, rest = event.dedupe_key.partition("fact:connection:")
        if beginning or not rest:
            continue
        connection, _, fact = rest.partition(":")
        if connection not in names:
            names[connection] = store.sources_tied_to(session, connection)
        former[event.dedupe_key] = [
            bounded(f"fact:{account_of_untied(name)}:{fact}", KEY_LENGTH)
            for name in names[connection]
        ]
    known = store.known_events(session, [key for keys in former.values() for key in keys])
    return {key: found for key, keys in former.items() for found in keys if found in known}
