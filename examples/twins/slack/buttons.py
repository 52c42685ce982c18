"""What Slack sends by itself: pressed buttons, commands, events and their handshake."""

import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode
from uuid import uuid4

from pydantic import Field

from examples.twins.sending import Attempt, Sender
from examples.twins.signing import sign_slack
from examples.twins.slack.settings import Signing
from examples.twins.slack.workspace import APP_ID, TEAM_ID, Channel, Message

TIMEOUT_S = 3.0
VERIFICATION_TOKEN = "twin-verification-token"


class Press(Signing):
    """What `POST /_twin/press` takes.

    Args:
        channel, ts: the message; the newest one with such a button when `ts` is left out.
        holding: a text in the button's value, to choose among messages with like buttons.
        late: presses as somebody whose screen still shows what an edit has taken away.
        repeat: how often the same press is sent, one after the other.
    """

    action_id: str
    channel: str | None = None
    ts: str | None = None
    holding: str = ""
    late: bool = False
    user: str = "U0PERSON1"
    username: str = "dana"
    repeat: int = Field(default=1, ge=1, le=100)


class Verification(Signing):
    """What `POST /_twin/url_verification` takes."""

    challenge: str = Field(default_factory=lambda: uuid4().hex)


def find_pressed(press: Press, message: Message) -> tuple[dict[str, object], str] | None:
    """The button that is meant, and its block's id; `None` when the message has none."""
    return message.find_button(press.action_id, holding=press.holding, late=press.late)


def press_payload(
    press: Press, channel: Channel, message: Message, *, response_url: str, action_ts: str
) -> dict[str, object]:
    """The `block_actions` object of a press; the button must be in the message."""
    found = find_pressed(press, message)
    if found is None:
        raise LookupError(f"the message has no button {press.action_id!r}")
    button, block_id = found
    action: dict[str, object] = {
        "type": "button",
        "action_id": press.action_id,
        "block_id": block_id,
        "action_ts": action_ts,
    }
    action |= {name: button[name] for name in ("text", "value", "url", "style") if name in button}
    return {
        "type": "block_actions",
        "team": {"id": TEAM_ID, "domain": "twin"},
        "user": {
            "id": press.user,
            "username": press.username,
            "name": press.username,
            "team_id": TEAM_ID,
        },
        "api_app_id": APP_ID,
        "token": VERIFICATION_TOKEN,
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.channel_id,
            "is_ephemeral": False,
        },
        "trigger_id": f"{time.time_ns()}.{uuid4().hex}",
        "channel": {"id": channel.channel_id, "name": channel.name},
        "message": message.show(with_metadata=True),
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [action],
    }


class SlackSender:
    """Posts to the request address of the app, signed; nothing is tried twice."""

    def __init__(self) -> None:
        self._sender = Sender()

    async def press(
        self, payload: dict[str, object], *, receiver: str, secret: str, timestamp: int | None
    ) -> Attempt:
        """A pressed button: a form with one field."""
        body = urlencode({"payload": json.dumps(payload)}).encode()
        kind = "application/x-www-form-urlencoded"
        return await self._send(body, kind, receiver, secret, timestamp)

    async def verify(
        self, challenge: str, *, receiver: str, secret: str, timestamp: int | None
    ) -> Attempt:
        """The handshake of the Events API."""
        told = {"type": "url_verification", "token": VERIFICATION_TOKEN, "challenge": challenge}
        body = json.dumps(told).encode()
        return await self._send(body, "application/json", receiver, secret, timestamp)

    async def give_command(
        self, fields: dict[str, str], *, receiver: str, secret: str, timestamp: int | None
    ) -> Attempt:
        """A slash command: a form."""
        kind = "application/x-www-form-urlencoded"
        return await self._send(urlencode(fields).encode(), kind, receiver, secret, timestamp)

    async def send_event(
        self,
        told: dict[str, object],
        number: int,
        *,
        receiver: str,
        secret: str,
        timestamp: int | None,
    ) -> Attempt:
        """An event of the Events API; `number` counts the tries after the first."""
        more = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": "http_timeout"}
        body = json.dumps(told).encode()
        return await self._send(
            body, "application/json", receiver, secret, timestamp, more if number else {}
        )

    async def _send(
        self,
        body: bytes,
        kind: str,
        receiver: str,
        secret: str,
        timestamp: int | None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Attempt:
        moment = int(time.time()) if timestamp is None else timestamp
        headers = {
            "Content-Type": kind,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            **sign_slack(secret, body, moment),
            **more,
        }
        return await self._sender.post(receiver, headers=headers, body=body, timeout_s=TIMEOUT_S)
