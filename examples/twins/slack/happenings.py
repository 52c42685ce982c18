"""Slash commands and events of the Events API, as Slack writes them (reference 7.4)."""

from uuid import uuid4

from pydantic import Field

from examples.twins.slack.buttons import VERIFICATION_TOKEN
from examples.twins.slack.settings import Signing
from examples.twins.slack.workspace import APP_ID, HOME, TEAM_ID


class Command(Signing):
    """What `POST /_twin/command` takes; `repeat` sends the same one several times."""

    command: str = Field(default="/heal", pattern=r"^/\S+$")
    text: str = ""
    user: str = "U0PERSON1"
    username: str = "dana"
    repeat: int = Field(default=1, ge=1, le=100)


class Happening(Signing):
    """What `POST /_twin/events` takes: the inner event; `repeat` sends it again, as a retry."""

    event: dict[str, object]
    event_id: str = Field(default_factory=lambda: f"Ev{uuid4().hex[:12].upper()}")
    repeat: int = Field(default=1, ge=1, le=4)


def command_fields(asked: Command, *, response_url: str) -> dict[str, str]:
    """The form of a slash command."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "team_domain": "twin",
        "channel_id": HOME.channel_id,
        "channel_name": HOME.name,
        "user_id": asked.user,
        "user_name": asked.username,
        "command": asked.command,
        "text": asked.text,
        "api_app_id": APP_ID,
        "response_url": response_url,
        "trigger_id": f"{uuid4().int}.{uuid4().hex}",
    }


def callback_body(asked: Happening, *, at: int) -> dict[str, object]:
    """The JSON around an event; `at` is its time in Unix seconds."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "api_app_id": APP_ID,
        "event": asked.event,
        "type": "event_callback",
        "event_id": asked.event_id,
        "event_time": at,
    }
