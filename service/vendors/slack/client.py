"""Slack's Web API, incoming webhooks and the addresses at which a press is answered (reference 7).

Arguments are typed by Slack's own library (`web.py`), answers by `answers.py`. Errors are those of
VendorHttp; a word of Slack's becomes what it means in `refusals.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import ValidationError

from schemas.events import Json
from service.errors import Refused, VendorBroken
from service.http import VendorHttp
from service.vendors.base import CallContext
from service.vendors.reading import as_text
from service.vendors.slack.answers import (
    JSON_HEADERS,
    Answer,
    Channel,
    Channels,
    History,
    HistoryMessage,
    Identity,
    Posted,
)
from service.vendors.slack.refusals import SlackRefused, hint_in, raise_for_word

if TYPE_CHECKING:
    from slack_sdk.web import SlackResponse

HISTORY_PAGE = 200
MAX_HISTORY_PAGES = 20
CHANNELS_PAGE = 999
MAX_CHANNELS_PAGES = 10
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
"""A message with these errors can no longer be edited: it is posted anew."""

Blocks = Sequence[Mapping[str, Json]]
A = TypeVar("A", bound=Answer)


class SlackClient:
    """The calls Hookwright makes with a bot's token."""

    def __init__(self, http: VendorHttp) -> None:
        # Slack's own library takes a while to load, and a receiver never calls.
        from service.vendors.slack.web import GuardedWebClient  # noqa: PLC0415

        self._web = GuardedWebClient(http)

    def post_message(
        self,
        *,
        channel: str,
        text: str,
        blocks: Blocks = (),
        thread_ts: str | None = None,
        reply_broadcast: bool | None = None,
        unfurl_links: bool = False,
        metadata: Mapping[str, Json] | None = None,
    ) -> Posted:
        """Post a message to a channel or, with `thread_ts`, into a thread of it.

        `text` is also the notification. `metadata` is `{event_type, event_payload}` and is seen by
        apps only. Slack knows no idempotency key: a lost answer leaves the call in doubt.
        """
        response = self._web.chat_postMessage(
            channel=channel,
            text=text,
            blocks=[dict(block) for block in blocks] or None,
            thread_ts=thread_ts,
            reply_broadcast=reply_broadcast,
            unfurl_links=unfurl_links,
            metadata=dict(metadata) if metadata is not None else None,
        )
        return _read(response, Posted, in_doubt=True)

    def update_message(
        self, *, channel: str, ts: str, text: str, blocks: Blocks = ()
    ) -> Posted | None:
        """Edit a message in place, which may be done twice; None when it cannot be edited.

        No blocks means none: those of the message as it was are cleared.
        """
        shown = [dict(block) for block in blocks]
        try:
            response = self._web.chat_update(channel=channel, ts=ts, text=text, blocks=shown)
        except SlackRefused as fault:
            if fault.word in GONE:
                return None
            raise
        return _read(response, Posted)

    def identity(self) -> Identity:
        """Give whose token it is."""
        return _read(self._web.auth_test(), Identity)

    def messages(
        self, channel: str, *, thread_ts: str | None = None, since: datetime | None = None
    ) -> Iterator[HistoryMessage]:
        """Give the messages of a channel or thread since a time, newest first, with metadata.

        A thread comes oldest first, as Slack gives it. Raises Refused when there are more than can
        be read.
        """
        cursor: str | None = None
        oldest = f"{since.timestamp():.6f}" if since is not None else None
        for _ in range(MAX_HISTORY_PAGES):
            page = self._history(channel, thread_ts, oldest, cursor)
            yield from page.messages
            cursor = as_text(page.response_metadata.get("next_cursor"))
            if not page.has_more or cursor is None:
                return
        raise Refused(f"the channel {channel} has more messages than can be searched")

    def _history(
        self, channel: str, thread_ts: str | None, oldest: str | None, cursor: str | None
    ) -> History:
        if thread_ts is None:
            response = self._web.conversations_history(
                channel=channel,
                oldest=oldest,
                cursor=cursor,
                limit=HISTORY_PAGE,
                include_all_metadata=True,
            )
        else:
            response = self._web.conversations_replies(
                channel=channel,
                ts=thread_ts,
                oldest=oldest,
                cursor=cursor,
                limit=HISTORY_PAGE,
                include_all_metadata=True,
            )
        return _read(response, History)

    def channels(self) -> Iterator[Channel]:
        """Give the public channels that are in use (docs.slack.dev, method conversations.list).

        Needs the scope `channels:read`. Raises Refused when there are more than can be read.
        """
        cursor: str | None = None
        for _ in range(MAX_CHANNELS_PAGES):
            response = self._web.conversations_list(
                types="public_channel", exclude_archived=True, limit=CHANNELS_PAGE, cursor=cursor
            )
            page = _read(response, Channels)
            yield from page.channels
            cursor = as_text(page.response_metadata.get("next_cursor"))
            if cursor is None:
                return
        raise Refused("the workspace has more channels than can be searched")


def post_to_webhook(http: VendorHttp, url: str, *, text: str, blocks: Blocks = ()) -> None:
    """Post through an incoming webhook. The answer is the text `ok` and names no message."""
    body = _without_empty({"text": text, "blocks": [dict(block) for block in blocks]})
    try:
        answer = http.request(
            "POST", url, json=body, headers=JSON_HEADERS, failed_is_undone=True, bare=True
        )
    except Refused as fault:
        hint = hint_in(fault.message) or fault.hint
        raise Refused(fault.message, status=fault.status, hint=hint) from fault
    if answer.text().strip() != "ok":
        raise VendorBroken("the webhook answered with something else than ok", perhaps_done=True)


def answer_press(
    http: VendorHttp,
    response_url: str,
    *,
    text: str = "",
    blocks: Blocks = (),
    response_type: Literal["ephemeral", "in_channel"] = "ephemeral",
    replace_original: bool = False,
    delete_original: bool = False,
) -> None:
    """Answer a pressed button or a slash command at its `response_url`.

    Slack takes five answers within 30 minutes. Deleting the original needs no text.
    """
    body: dict[str, Json] = {
        "text": text,
        "blocks": [dict(block) for block in blocks],
        "response_type": response_type,
        "replace_original": replace_original,
        "delete_original": delete_original,
    }
    try:
        answer = http.request(
            "POST",
            response_url,
            json=_without_empty(body),
            headers=JSON_HEADERS,
            failed_is_undone=True,
            bare=True,
        )
    except Refused as fault:
        raise Refused(
            fault.message,
            status=fault.status,
            hint="Slack takes five answers within 30 minutes of the press; post a message instead",
        ) from fault
    if answer.body.lstrip().startswith(b"{"):
        raise_for_word(answer.read(Answer), "the answer to a press", safe=False)


def check(context: CallContext) -> str:
    """Ask whose token it is; a webhook cannot be asked without posting."""
    if context.credentials.bot_token is None:
        return "an incoming webhook, which cannot be asked who it is"
    identity = SlackClient(context.http).identity()
    return f"bot {identity.user or '?'} in the workspace {identity.team or '?'}"


def _without_empty(body: Mapping[str, Json]) -> dict[str, Json]:
    """Leave out what says nothing; a `replace_original` of false says that it stays."""
    return {name: value for name, value in body.items() if value or value is False}


def _read(response: SlackResponse, model: type[A], *, in_doubt: bool = False) -> A:
    """Give the answer as this model. Raises VendorBroken when it does not fit."""
    try:
        return model.model_validate(response.data)
    except ValidationError as fault:
        raise VendorBroken(
            f"Slack's answer to {response.api_url} has another form", perhaps_done=in_doubt
        ) from fault
