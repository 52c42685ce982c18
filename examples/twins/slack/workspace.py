"""What exists in the Slack twin: channels, messages, answers to pressed buttons."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from examples.twins.clock import Clock

TEAM_ID = "T0TWIN001"
APP_ID = "A0TWIN001"
BOT_ID = "B0TWIN001"
BOT_USER_ID = "U0TWINBOT"


@dataclass(slots=True)
class Channel:
    """One channel. The bot posts only where it is a member."""

    channel_id: str
    name: str
    is_member: bool = True
    is_archived: bool = False


HOME = Channel("C0000000001", "qa-alerts")


@dataclass(slots=True)
class Message:
    """One message. `ts` is its identity within the channel."""

    channel_id: str
    ts: str
    text: str
    blocks: list[dict[str, object]]
    attachments: list[dict[str, object]]
    bot_id: str | None
    user: str
    thread_ts: str | None = None
    reply_broadcast: bool = False
    metadata: dict[str, object] | None = None
    edited_ts: str | None = None
    via: str = "chat.postMessage"
    versions: int = 1
    before: list[list[dict[str, object]]] = field(default_factory=list)
    """The blocks of its earlier versions, oldest first."""

    def show(self, *, with_metadata: bool) -> dict[str, object]:
        """The message as the API gives it."""
        shown: dict[str, object] = {
            "type": "message",
            "user": self.user,
            "ts": self.ts,
            "text": self.text,
            "team": TEAM_ID,
        }
        if self.bot_id:
            shown |= {"bot_id": self.bot_id, "app_id": APP_ID}
        if self.blocks:
            shown["blocks"] = self.blocks
        if self.attachments:
            shown["attachments"] = self.attachments
        if self.thread_ts:
            shown["thread_ts"] = self.thread_ts
        if self.edited_ts:
            shown["edited"] = {"user": self.user, "ts": self.edited_ts}
        if with_metadata and self.metadata:
            shown["metadata"] = self.metadata
        return shown

    def buttons(self, *, late: bool = False) -> Iterator[tuple[dict[str, object], str]]:
        """Its buttons, each with its block's id; `late` adds those that an edit has taken away."""
        shown = [self.blocks, *reversed(self.before)] if late else [self.blocks]
        for blocks in shown:
            for number, block in enumerate(blocks):
                block_id = str(block.get("block_id") or f"block{number}")
                for element in _elements(block):
                    if element.get("type") == "button":
                        yield element, block_id

    def find_button(
        self, action_id: str, *, holding: str = "", late: bool = False
    ) -> tuple[dict[str, object], str] | None:
        """The button with this `action_id` and this text in its value, and its block's id."""
        for button, block_id in self.buttons(late=late):
            is_held = holding in str(button.get("value", ""))
            if button.get("action_id") == action_id and is_held:
                return button, block_id
        return None


@dataclass(slots=True)
class Workspace:
    """Channels and messages of one workspace."""

    clock: Clock
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    responses: list[dict[str, object]] = field(default_factory=list)
    _last_micro: int = 0

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """One channel without messages. Times keep rising."""
        self.channels.clear()
        self.channels[HOME.channel_id] = replace(HOME)
        self.messages.clear()
        self.responses.clear()

    def next_ts(self) -> str:
        """A time no other message has, later than every one before it."""
        micro = max(int(self.clock.now().timestamp() * 1_000_000), self._last_micro + 1)
        self._last_micro = micro
        return f"{micro // 1_000_000}.{micro % 1_000_000:06d}"

    def find_channel(self, wanted: str) -> Channel | None:
        """The channel with this id, or this name with or without `#`."""
        by_name = wanted.removeprefix("#")
        return self.channels.get(wanted) or next(
            (one for one in self.channels.values() if one.name == by_name), None
        )

    def find_message(self, channel_id: str, ts: str) -> Message | None:
        """The message with this time in this channel."""
        return next(
            (one for one in self.messages if (one.channel_id, one.ts) == (channel_id, ts)), None
        )

    def show(self) -> dict[str, object]:
        """Everything, for tests."""
        return {
            "channels": [
                {
                    "id": one.channel_id,
                    "name": one.name,
                    "is_member": one.is_member,
                    "is_archived": one.is_archived,
                }
                for one in self.channels.values()
            ],
            "messages": [
                {
                    **one.show(with_metadata=True),
                    "channel": one.channel_id,
                    "via": one.via,
                    "versions": one.versions,
                    "buttons": [button for button, _ in one.buttons()],
                }
                for one in self.messages
            ],
            "responses": self.responses,
        }


def _elements(block: dict[str, object]) -> list[dict[str, object]]:
    listed = block.get("elements")
    elements = list(listed) if isinstance(listed, list) else []
    elements.append(block.get("accessory"))
    return [one for one in elements if isinstance(one, dict)]


def decode(value: object) -> object:
    """A form field that holds JSON text as its value; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        decoded: object = json.loads(value)
    except ValueError:
        return value
    return decoded
