"""Slack's Web API and incoming webhooks (reference 7.2, 7.3).

Errors of the Web API come with HTTP 200 and a word; here they become the errors everything else
raises. The words are Slack's own (docs.slack.dev, methods chat.postMessage and chat.update).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.events import Json
from service.errors import RateLimited, Refused, VendorBroken
from service.http import HttpAnswer, VendorHttp
from service.vendors.base import CallContext, Options
from service.vendors.reading import as_list, as_text
from service.vendors.slack.answers import (
    Answer,
    Channel,
    Channels,
    History,
    HistoryMessage,
    Identity,
    Posted,
)

HISTORY_PAGE = 200
MAX_HISTORY_PAGES = 20
CHANNELS_PAGE = 999
MAX_CHANNELS_PAGES = 10
LIMITED_WAIT = timedelta(seconds=30)
_JSON = {"Content-Type": "application/json; charset=utf-8"}

_LIMITED = frozenset({"ratelimited", "rate_limited"})
_NOT_NOW = frozenset({"service_unavailable", "request_timeout", "team_added_to_org"})
_IN_DOUBT = frozenset({"internal_error", "fatal_error"})
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
"""A message with these errors can no longer be edited: it is posted anew."""

_TOKEN = "check credentials.bot_token of the connection"  # noqa: S105  # a hint, not a token
_HINTS = {
    "not_in_channel": "invite the bot: write /invite @<bot> in the channel",
    "channel_not_found": "give the channel's id, and invite the bot when the channel is private",
    "is_archived": "the channel is archived: choose another in options.channel",
    "channel_is_archived": "the channel is archived: choose another",
    "invalid_auth": _TOKEN,
    "not_authed": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
    "account_inactive": _TOKEN,
    "no_service": "the webhook was removed: check credentials.webhook_url of the connection",
    "invalid_blocks": "check the blocks in Slack's Block Kit Builder",
    "missing_scope": "add the scope to the app and install it again",
    "restricted_action": "an administrator of the workspace forbids this",
}

A = TypeVar("A", bound=Answer)


class SlackCredentials(BaseModel):
    """Exactly one of a bot's token and the address of an incoming webhook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bot_token: SecretStr | None = Field(default=None, min_length=1)
    webhook_url: SecretStr | None = Field(default=None, min_length=1)

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
    """Options of a connection: the channel messages go to unless the step names another."""

    channel: str | None = Field(default=None, min_length=1)


def auth_headers(
    credentials: SlackCredentials, _options: SlackConnectionOptions
) -> Mapping[str, str]:
    """Give the bot's token as a bearer; a webhook's address is its own secret."""
    if credentials.bot_token is None:
        return {}
    return {"Authorization": f"Bearer {credentials.bot_token.get_secret_value()}"}


class SlackClient:
    """The calls Hookwright makes with a bot's token. Errors are those of VendorHttp."""

    def __init__(self, http: VendorHttp) -> None:
        self._http = http

    def post_message(self, content: Mapping[str, Json]) -> Posted:
        """Post a message; `content` has channel, text, blocks, thread_ts and metadata."""
        answer = self._post("chat.postMessage", content, safe=False)
        return _accepted(answer, "chat.postMessage", Posted)

    def update_message(self, content: Mapping[str, Json]) -> Posted | None:
        """Edit a message in place, which may be done twice; None when it cannot be edited."""
        answer = self._post("chat.update", content, safe=True)
        if answer.read(Answer).error in GONE:
            return None
        return _accepted(answer, "chat.update", Posted)

    def identity(self) -> Identity:
        """Give whose token it is."""
        answer = self._post("auth.test", {}, safe=True)
        return _accepted(answer, "auth.test", Identity)

    def messages(
        self, channel: str, *, thread_ts: str | None, since: datetime
    ) -> Iterator[HistoryMessage]:
        """Give the messages of a channel or thread since a time, newest first, with metadata.

        Raises Refused when there are more than can be read.
        """
        method = "conversations.history" if thread_ts is None else "conversations.replies"
        asked: dict[str, Any] = {
            "channel": channel,
            "ts": thread_ts,
            "oldest": f"{since.timestamp():.6f}",
            "limit": HISTORY_PAGE,
            "include_all_metadata": "true",
        }
        for _ in range(MAX_HISTORY_PAGES):
            answer = self._http.request("GET", f"/{method}", params=asked)
            page = _accepted(answer, method, History)
            yield from page.messages
            cursor = as_text(page.response_metadata.get("next_cursor"))
            if not page.has_more or cursor is None:
                return
            asked["cursor"] = cursor
        raise Refused(f"the channel {channel} has more messages than can be searched")

    def channels(self) -> Iterator[Channel]:
        """Give the public channels that are in use (docs.slack.dev, method conversations.list).

        Needs the scope `channels:read`. Raises Refused when there are more than can be read.
        """
        method = "conversations.list"
        asked: dict[str, Any] = {
            "types": "public_channel",
            "exclude_archived": "true",
            "limit": CHANNELS_PAGE,
        }
        for _ in range(MAX_CHANNELS_PAGES):
            page = _accepted(
                self._http.request("GET", f"/{method}", params=asked), method, Channels
            )
            yield from page.channels
            cursor = as_text(page.response_metadata.get("next_cursor"))
            if not cursor:
                return
            asked["cursor"] = cursor
        raise Refused("the workspace has more channels than can be searched")

    def _post(self, method: str, body: Mapping[str, Json], *, safe: bool) -> HttpAnswer:
        return self._http.request(
            "POST",
            f"/{method}",
            json=dict(body),
            headers=_JSON,
            safe=safe,
            failed_is_undone=True,
        )


def post_to_webhook(http: VendorHttp, url: str, content: Mapping[str, Json]) -> None:
    """Post through an incoming webhook. The answer is the text `ok` and names no message."""
    try:
        answer = http.request("POST", url, json=dict(content), headers=_JSON, failed_is_undone=True)
    except Refused as fault:
        hint = next((hint for word, hint in _HINTS.items() if word in fault.message), fault.hint)
        raise Refused(fault.message, status=fault.status, hint=hint) from fault
    if answer.text().strip() != "ok":
        raise VendorBroken("the webhook answered with something else than ok", perhaps_done=True)


def check(context: CallContext) -> str:
    """Ask whose token it is; a webhook cannot be asked without posting."""
    if context.credentials.bot_token is None:
        return "an incoming webhook, which cannot be asked who it is"
    identity = SlackClient(context.http).identity()
    return f"bot {identity.user or '?'} in the workspace {identity.team or '?'}"


def _accepted(answer: HttpAnswer, method: str, model: type[A]) -> A:
    """Give the answer when it says ok. Raises what its error word means."""
    told = answer.read(Answer)
    if told.ok:
        return answer.read(model)
    error = told.error or "an error without a name"
    more = "; ".join(filter(None, map(as_text, as_list(told.response_metadata.get("messages")))))
    message = f"Slack refuses {method}: {error}" + (f" ({more[:200]})" if more else "")
    if error in _LIMITED:
        raise RateLimited(message, retry_after=LIMITED_WAIT)
    if error in _NOT_NOW or error in _IN_DOUBT:
        raise VendorBroken(message, perhaps_done=error in _IN_DOUBT and not answer.safe)
    hint = _HINTS.get(error)
    if error == "missing_scope" and told.needed:
        hint = f"add the scope {told.needed} to the app and install it again"
    raise Refused(message, hint=hint)
