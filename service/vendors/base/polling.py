"""What a vendor is asked again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.events import EventDraft, Json
from service.vendors.base.options import Options
from service.vendors.base.outgoing import CallContext


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What asking once gave: new events, and the position to ask from next time.

    `more` says that there is more to read at once. A poll reads few pages a time, so that a long
    list goes on where it was when a limit of the vendor or a crash stopped it.
    """

    events: Sequence[EventDraft]
    position: Mapping[str, Json]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """A question asked of a vendor again and again.

    `ask(context, options, position)` is given the position of the last answer (None at first).
    Events and position are stored in one transaction; an event's `fact`, or else its `key`, is the
    same whenever the same fact is read again, so that a crash repeats nothing.
    """

    name: str
    summary: str
    options: type[Options]
    ask: Callable[[CallContext, Any, Mapping[str, Json] | None], PollAnswer]
