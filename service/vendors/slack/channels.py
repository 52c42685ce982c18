"""Which channel a name means: messages may be posted to a name, but read only by the channel's id.

Slack gives the id with every message it takes (reference 7.2), so that what we posted earlier tells
it; the list of channels is asked only when nothing was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from service.errors import Refused
from service.vendors.base import CallContext
from service.vendors.reading import as_text
from service.vendors.slack.client import SlackClient

_ID = re.compile(r"[CDG][A-Z0-9]{5,}")
"""Of a channel, a direct message or a group; names have no capital letters."""
_POSTING = ("slack.message", "slack.ask_approval")
_PERSON = re.compile(r"[UW][A-Z0-9]{5,}")
"""A message to a person goes to a direct message with an id of its own."""


def channel_id(context: CallContext, client: SlackClient, asked: str) -> str:
    """Give the id of the channel that messages to `asked` go to.

    Raises Refused when nobody can tell: the list may not be read, or does not have it.
    """
    if _ID.fullmatch(asked):
        return asked
    known = next(_known_ids(context, asked), None)
    if known is not None:
        return known
    if not _PERSON.fullmatch(asked):
        wanted = _plain(asked)
        for channel in client.channels():
            if channel.id is not None and _plain(channel.name or "") == wanted:
                return channel.id
    raise Refused(
        f"no channel {asked} is known by its id",
        hint="give the channel's id, which is below the channel's details in Slack",
    )


def _known_ids(context: CallContext, asked: str) -> Iterator[str]:
    """Give the ids that messages to the same name were posted to, the newest of a kind first."""
    # A kept message stands for this very channel: its target names it.
    kept = as_text((context.reference or {}).get("channel"))
    if kept is not None and _ID.fullmatch(kept):
        yield kept
    for earlier in (one for action in _POSTING for one in context.earlier(action)):
        told, found = as_text(earlier.get("asked")), as_text(earlier.get("channel"))
        if told is None or found is None or _plain(told) != _plain(asked):
            continue
        if _ID.fullmatch(found):
            yield found


def _plain(name: str) -> str:
    return name.removeprefix("#").lower()
