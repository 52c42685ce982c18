"""Settings of the Slack twin, and what everything it sends may be told instead."""

from pydantic import BaseModel, ConfigDict, Field

from examples.twins.twin import Settings


class SlackSettings(Settings):
    """Settings of this twin.

    Args:
        webhook_path: the path of the incoming webhook.
        webhook_channel: the channel it posts to.
    """

    key: str = Field(default="xoxb-twin", min_length=1)
    secret: str = "slack-signing-secret"
    webhook_path: str = "/services/T000/B000/XXX"
    webhook_channel: str = "C0000000001"


class Signing(BaseModel):
    """What every lever that sends something takes.

    Args:
        timestamp: Unix seconds put into the signature instead of now, to try a stale one.
        receiver, secret: instead of the settings.
    """

    model_config = ConfigDict(extra="forbid")

    timestamp: int | None = None
    receiver: str | None = None
    secret: str | None = None
