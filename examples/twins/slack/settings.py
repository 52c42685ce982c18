"""Settings of the Slack twin."""

from pydantic import Field

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
