"""How a Slack connection is set up: a bot's token or a webhook's address, and its channel."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from service.vendors.base import Options, PerMinuteOrUsual, Rate


class SlackCredentials(BaseModel):
    """Exactly one of a bot's token and the address of an incoming webhook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bot_token: SecretStr | None = Field(
        default=None, min_length=1, description="Bot User OAuth Token of the app, `xoxb-…`."
    )
    webhook_url: SecretStr | None = Field(
        default=None, min_length=1, description="Address of an incoming webhook, itself a secret."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> SlackCredentials:
        if (self.bot_token is None) == (self.webhook_url is None):
            message = "give exactly one of bot_token, webhook_url"
            raise ValueError(message)
        if self.webhook_url is not None and not self.webhook_url.get_secret_value().startswith(
            ("https://", "http://")
        ):
            message = "webhook_url must be a whole address, https://hooks.slack.com/services/..."
            raise ValueError(message)
        return self


class SlackConnectionOptions(Options):
    """Options of a connection."""

    channel: str | None = Field(
        default=None,
        min_length=1,
        description="Channel (id, or name with #) of messages whose step names none.",
    )
    per_minute: PerMinuteOrUsual = Field(
        default=None,
        description="Messages a minute over all channels; left out, at most five in any 5 s.",
    )


def auth_headers(
    credentials: SlackCredentials, _options: SlackConnectionOptions
) -> Mapping[str, str]:
    """Give the bot's token as a bearer; a webhook's address is its own secret."""
    if credentials.bot_token is None:
        return {}
    return {"Authorization": f"Bearer {credentials.bot_token.get_secret_value()}"}


def _posts(method: str, path: str) -> bool:
    """Say whether a call makes a message; one to a whole address is a webhook's or an answer."""
    return path == "/chat.postMessage" or (method == "POST" and "://" in path)


def _edits(_method: str, path: str) -> bool:
    return path == "/chat.update"


def _reads(_method: str, path: str) -> bool:
    return path in {"/conversations.history", "/conversations.replies"}


def _lists(_method: str, path: str) -> bool:
    return path == "/conversations.list"


RATES = (
    # A channel takes one message a second with short bursts (reference 7.3). A rate is kept for a
    # whole credential and cannot see channels, and all its messages may go to one of them: so it
    # is five at once, and then one a second.
    Rate(calls=5, seconds=5.0, name="messages", covers=_posts),
    # The tiers 3 and 2 of the Web API, at their lower ends.
    Rate(calls=50, name="edits", covers=_edits),
    Rate(calls=50, name="histories", covers=_reads),
    Rate(calls=20, name="lists", covers=_lists),
)
