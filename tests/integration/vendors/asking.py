"""A poll that is asked and a record that is read as the engine does: all pages, kept as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.events import EventDraft
from service.vendors.base import PollAnswer, Record, Recorded, RecordPage, Window
from tests.integration.vendors.conftest import Caller


@dataclass(frozen=True)
class Asked:
    """What a poll told until there was no more, and how often it was asked for that."""

    events: list[EventDraft]
    position: Any
    times: int

    @property
    def facts(self) -> list[str]:
        return [event.fact for event in self.events]


def ask_all(caller: Caller, poll: str, position: Any = None, /, **options: Any) -> Asked:
    """Ask until there is no more, all of it at the caller's time."""
    events: list[EventDraft] = []
    for times in range(1, 100):
        answer = caller.ask(poll, position, **options)
        events += answer.events
        position = json.loads(json.dumps(answer.position))
        if not answer.more:
            return Asked(events, position, times)
    message = f"of {poll} there was always more"
    raise AssertionError(message)


class Polling:
    """A poll that is asked again and again: position and events are kept together, or neither.

    It is asked at the present time, moved by `ahead`.
    """

    def __init__(self, caller: Caller, name: str, **options: Any) -> None:
        self.caller = caller
        self.name = name
        self.options = options
        self.ahead = timedelta()
        self.position: Any = None
        self.told: list[EventDraft] = []

    def ask(self) -> PollAnswer:
        self.caller.now = datetime.now(UTC) + self.ahead
        answer = self.caller.ask(self.name, self.position, **self.options)
        self.position = json.loads(json.dumps(answer.position))
        self.told += answer.events
        return answer

    def sweep(self) -> list[EventDraft]:
        """Ask until there is no more; gives the new events."""
        before = len(self.told)
        while self.ask().more:
            assert len(self.told) < 10_000
        return self.told[before:]

    def drain(self) -> list[str]:
        """Ask until there is no more; gives the facts of the new events."""
        return [event.fact for event in self.sweep()]

    def facts(self) -> list[str]:
        """The facts of all that was told."""
        return [event.fact for event in self.told]


def read_page(
    caller: Caller, record: Record, window: Window, position: Any = None, /, **options: Any
) -> RecordPage:
    return record.read(caller.context(), record.options.model_validate(options), window, position)


def read_all(caller: Caller, record: Record, window: Window, /, **options: Any) -> list[Recorded]:
    """Every entry of a record within the window."""
    found: list[Recorded] = []
    position: Any = None
    while True:
        page = read_page(caller, record, window, position, **options)
        found += page.entries
        if page.next is None:
            return found
        position = json.loads(json.dumps(page.next))
