"""Answers of Slack's Web API (reference 7.2): the fields we read."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from service.vendors.reading import Object, Payload, Text, as_list, as_mapping


def _objects(value: object) -> list[dict[str, object]]:
    return [as_mapping(item) for item in as_list(value) if isinstance(item, dict)]


JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


class Answer(Payload):
    """Every answer: errors come with HTTP 200 and `ok: false`."""

    ok: bool = False
    error: Text = None
    needed: Text = None
    response_metadata: Object = Field(default_factory=dict)


class Posted(Answer):
    """Where a message stands."""

    channel: str
    ts: str


class Identity(Answer):
    """Whose token it is."""

    team: Text = None
    user: Text = None


class Metadata(Payload):
    """What we wrote beside a message to find it again."""

    event_type: Text = None
    event_payload: Object = Field(default_factory=dict)


class HistoryMessage(Payload):
    """A message of a channel's history."""

    ts: Text = None
    text: Text = None
    metadata: Metadata = Field(default_factory=Metadata)


class History(Answer):
    """A page of a channel's history, newest first."""

    messages: Annotated[tuple[HistoryMessage, ...], BeforeValidator(_objects)] = ()
    has_more: bool = False


class Channel(Payload):
    """A channel as it is listed."""

    id: Text = None
    name: Text = None


class Channels(Answer):
    """A page of the workspace's channels."""

    channels: Annotated[tuple[Channel, ...], BeforeValidator(_objects)] = ()
