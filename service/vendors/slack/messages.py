"""Messages: posted, edited, kept under a key and looked up.

Posting has no idempotency key at the vendor: a message is posted once for its step, and carries our
own key in its metadata so that a lost answer can be looked up where the app may read the channel.
With `key` a message is kept: later calls with the same key edit it, which may be done twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.events import Json
from service.errors import Permanent, Refused
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.reading import as_text, as_time
from service.vendors.slack.answers import HistoryMessage, Posted
from service.vendors.slack.blocks import fit_blocks, fit_text
from service.vendors.slack.channels import channel_id
from service.vendors.slack.client import SlackClient, post_to_webhook
from service.vendors.slack.credentials import SlackConnectionOptions

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Timestamp = Annotated[str, StringConstraints(pattern=r"^\d{1,12}\.\d{1,9}$")]
EFFECT = "hookwright_effect"
LOOK_BACK = timedelta(days=7)
"""How old a message may be that a doubtful call has left behind."""


class MessageParams(Params):
    """A message, and whether it is kept to be edited later."""

    text: Text = Field(
        description="What the message says, in mrkdwn; also the notification where blocks are."
    )
    channel: Text | None = Field(
        default=None,
        description="Channel, by id or #name; left out, options.channel of the connection.",
    )
    blocks: tuple[dict[str, Json], ...] = Field(
        default=(), description="Block Kit blocks; what is too long for Slack is cut, visibly."
    )
    key: Text | None = Field(
        default=None,
        description="Keeps the message: a later call with the same key edits it in place.",
    )
    thread_ts: Timestamp | None = Field(
        default=None, description="The ts of the message in whose thread this one is posted."
    )
    reply_broadcast: bool = Field(
        default=False, description="Shows a message of a thread in the channel too."
    )
    unfurl_links: bool = Field(
        default=False, description="Lets Slack show previews of the links in the text."
    )
    as_of: datetime | None = Field(
        default=None,
        description="Time of what the message says; an older one does not replace a newer one.",
    )
    update_only: bool = Field(
        default=False, description="Only edits a kept message and posts nothing anew."
    )


class MessageOutputs(Outputs):
    """What became of the message; exactly one of the last four is true.

    An incoming webhook names neither channel nor `ts`, and what it posted cannot be edited.
    """

    channel: str | None = Field(description="Id of the channel; empty for an incoming webhook.")
    ts: str | None = Field(description="The message's ts; empty for an incoming webhook.")
    created: bool = Field(default=False, description="A new message was posted.")
    updated: bool = Field(default=False, description="The kept message was edited.")
    unchanged: bool = Field(default=False, description="The kept message says this already.")
    skipped: bool = Field(
        default=False, description="Nothing was done: it is older news, or only an edit was wanted."
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the message shall be, what it says it is as of, and which channel was asked for."""

    text: str
    blocks: list[dict[str, Json]]
    as_of: datetime | None
    asked: str | None

    @property
    def digest(self) -> str:
        content = {"text": self.text, "blocks": self.blocks}
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

    def done(
        self,
        channel: str | None,
        ts: str | None,
        how: Literal["created", "updated", "unchanged"],
    ) -> Done:
        """Give the outcome, with what finds the message again."""
        outputs = MessageOutputs(channel=channel, ts=ts)
        reference = {
            "channel": channel,
            "asked": self.asked,
            "ts": ts,
            "digest": self.digest,
            "as_of": self.as_of.isoformat() if self.as_of else None,
        }
        changed = how != "unchanged"
        return Done(outputs.model_copy(update={how: True}), reference, changed=changed)


def message(context: CallContext, params: MessageParams) -> Done:
    """Post a message, or edit the one that is kept under its key."""
    known = context.reference or {}
    as_of, told = _aware(params.as_of), as_time(known.get("as_of"))
    if as_of is not None and told is not None and as_of < told:
        return _skipped(known)
    asked = params.channel or context.options.channel
    wanted = _wanted(params, as_of or told, asked)
    channel, ts = as_text(known.get("channel")), as_text(known.get("ts"))
    if known.get("digest") == wanted.digest:
        return wanted.done(channel, ts, "unchanged")
    if context.credentials.webhook_url is not None:
        return _skipped(known) if params.update_only else _through_webhook(context, wanted)
    client = SlackClient(context.http)
    if channel is not None and ts is not None:
        found = client.update_message(
            channel=channel, ts=ts, text=wanted.text, blocks=wanted.blocks
        )
        if found is not None:
            return wanted.done(found.channel, found.ts, "updated")
    if params.update_only:
        return _skipped(known)
    posted = _post(context, client, params, wanted)
    return wanted.done(posted.channel, posted.ts, "created")


def look_up_message(context: CallContext, params: MessageParams) -> Done | None:
    """Find out whether the message of a doubtful call was posted, by the key in its metadata.

    Raises Refused when the app may not read the channel: then nobody can tell, unless a message is
    kept under the key already, so that the call can only have edited it.
    """
    if context.credentials.webhook_url is not None:
        raise Refused("what an incoming webhook has posted cannot be looked up")
    asked = channel_for(params.channel, context.options)
    client = SlackClient(context.http)
    try:
        channel = channel_id(context, client, asked)
        found = client.messages(channel, thread_ts=params.thread_ts, since=context.now - LOOK_BACK)
        posted = next((one for one in found if is_ours(one, context.idempotency_key)), None)
    except Refused:
        if as_text((context.reference or {}).get("ts")) is None:
            raise
        return None  # the doubtful call was an edit of the kept message, which may be made again
    if posted is None:
        return None
    wanted = _wanted(params, _aware(params.as_of), asked)
    return wanted.done(channel, posted.ts, "created")


def is_ours(posted: HistoryMessage, key: str) -> bool:
    """Say whether a message was posted by the effect with this key."""
    metadata = posted.metadata
    return metadata.event_type == EFFECT and metadata.event_payload.get("key") == key


def _post(
    context: CallContext, client: SlackClient, params: MessageParams, wanted: _Wanted
) -> Posted:
    payload = {"key": context.idempotency_key}
    return client.post_message(
        channel=channel_for(params.channel, context.options),
        text=wanted.text,
        blocks=wanted.blocks,
        thread_ts=params.thread_ts,
        reply_broadcast=True if params.reply_broadcast and params.thread_ts else None,
        unfurl_links=params.unfurl_links,
        metadata=(
            {"event_type": EFFECT, "event_payload": payload} if context.idempotency_key else None
        ),
    )


def _through_webhook(context: CallContext, wanted: _Wanted) -> Done:
    url = context.credentials.webhook_url.get_secret_value()
    post_to_webhook(context.http, url, text=wanted.text, blocks=wanted.blocks)
    return wanted.done(None, None, "created")


def _skipped(known: Mapping[str, Json]) -> Done:
    outputs = MessageOutputs(
        channel=as_text(known.get("channel")), ts=as_text(known.get("ts")), skipped=True
    )
    return Done(outputs, changed=False)


def _wanted(params: MessageParams, as_of: datetime | None, asked: str | None) -> _Wanted:
    """Give text and blocks within Slack's limits."""
    return _Wanted(fit_text(params.text), fit_blocks(params.blocks), as_of, asked)


def channel_for(named: str | None, options: SlackConnectionOptions) -> str:
    """Give the channel that is named, or that of the connection. Raises Permanent without both."""
    channel = named or options.channel
    if channel is None:
        raise Permanent(
            "no channel is named for the message",
            hint="give `channel`, or set options.channel of the connection",
        )
    return channel


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


class UpdateParams(Params):
    """Which message to edit, and what it shall say."""

    ts: Timestamp = Field(description="The message's ts, as the step that posted it gave it.")
    text: Text = Field(description="What the message shall say, in mrkdwn.")
    channel: Text | None = Field(
        default=None,
        description="Id of the message's channel; left out, options.channel of the connection.",
    )
    blocks: tuple[dict[str, Json], ...] = Field(
        default=(), description="Block Kit blocks; none takes away those of the message as it was."
    )


class UpdateOutputs(Outputs):
    """The message that was edited."""

    channel: str = Field(description="Id of the message's channel.")
    ts: str = Field(description="The message's ts.")


def update(context: CallContext, params: UpdateParams) -> Done:
    """Edit a message whose channel and ts are known."""
    if context.credentials.webhook_url is not None:
        raise Permanent(
            "what an incoming webhook has posted cannot be edited",
            hint="give the connection a bot_token instead",
        )
    channel = channel_for(params.channel, context.options)
    found = SlackClient(context.http).update_message(
        channel=channel,
        ts=params.ts,
        text=fit_text(params.text),
        blocks=fit_blocks(params.blocks),
    )
    if found is None:
        raise Refused("the message is gone, or is not ours to edit")
    return Done(UpdateOutputs(channel=found.channel, ts=found.ts))


def message_target(params: MessageParams, options: SlackConnectionOptions) -> str | None:
    """Name the kept message; one without key is nobody's to edit later."""
    if params.key is None:
        return None
    return f"{params.channel or options.channel or '-'}:{params.key}"


def update_target(params: UpdateParams, options: SlackConnectionOptions) -> str:
    """Name the message that is edited."""
    return f"{params.channel or options.channel or '-'}:{params.ts}"
