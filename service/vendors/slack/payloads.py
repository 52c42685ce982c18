"""What we read of Slack's bodies (vendors.md §7.4): all optional, everything else left out."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, AliasPath, BeforeValidator, Field

from schemas.events import Facts
from service.vendors.reading import Payload, Text, Time, as_list, as_mapping


def _as_payload(value: object) -> dict[str, object]:
    return {"id": value} if isinstance(value, str) else as_mapping(value)


def _as_payloads(value: object) -> list[dict[str, object]]:
    return [as_mapping(item) for item in as_list(value) if isinstance(item, dict)]


class Named(Payload):
    """A user, channel or team: sent as an object here, as a bare id there."""

    id: Text = None
    name: Text = Field(default=None, validation_alias=AliasChoices("username", "name"))


ANamed = Annotated[Named, BeforeValidator(_as_payload)]


class Container(Payload):
    """Where the pressed button stands."""

    message_ts: Text = None
    channel_id: Text = None


class Choice(Payload):
    """The chosen option of a menu."""

    value: Text = None


class Pressed(Payload):
    """One used element of a message."""

    action_id: Text = None
    block_id: Text = None
    value: Text = None
    action_ts: Text = None
    selected_option: Annotated[Choice, BeforeValidator(_as_payload)] = Choice()


class Interaction(Payload):
    """The `payload` field of a form: a pressed button, a shortcut, a submitted view.

    Only buttons and the like have `actions`; a shortcut has a time of its own.
    """

    type: Text = None
    trigger_id: Text = None
    callback_id: Text = Field(
        default=None,
        validation_alias=AliasChoices("callback_id", AliasPath("view", "callback_id")),
    )
    action_ts: Text = None
    message_ts: Text = None
    team: ANamed = Named()
    user: ANamed = Named()
    channel: ANamed = Named()
    container: Annotated[Container, BeforeValidator(_as_payload)] = Container()
    actions: Annotated[tuple[Pressed, ...], BeforeValidator(_as_payloads)] = ()


class InnerEvent(Payload):
    """The `event` of the Events API."""

    type: Text = None
    user: ANamed = Named()
    channel: ANamed = Named()
    text: Text = None
    ts: Text = None
    thread_ts: Text = None


class Callback(Payload):
    """A JSON body: one event of the Events API, or a notice about the app itself."""

    type: Text = None
    event_id: Text = None
    event_time: Time = None
    team_id: Text = None
    event: Annotated[InnerEvent, BeforeValidator(_as_payload)] = InnerEvent()


class Command(Payload):
    """A slash command, sent as a form."""

    command: Text = None
    text: Text = None
    user_id: Text = None
    channel_id: Text = None
    team_id: Text = None
    trigger_id: Text = None


class ButtonFacts(Facts):
    """Facts of `slack.block_actions` and other interactions."""

    user_id: str | None = None
    user_name: str | None = None
    channel_id: str | None = None
    team_id: str | None = None
    message_ts: str | None = None
    action_id: str | None = None
    block_id: str | None = None
    value: str | None = None


class MessageFacts(Facts):
    """Facts of the Events API and of slash commands."""

    user_id: str | None = None
    channel_id: str | None = None
    team_id: str | None = None
    text: str | None = None
    ts: str | None = None
    thread_ts: str | None = None
