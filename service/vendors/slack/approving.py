"""Asking people for a decision in a channel, and saying below the question what came of it.

A question belongs to one step of one run: asked again it is the same message, and closing it
edits that message. Like any message it is posted once, and a lost answer is looked up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from schemas.events import Json
from service.errors import Refused
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.reading import as_text
from service.vendors.slack.answers import HistoryMessage
from service.vendors.slack.approvals import (
    AskedStep,
    Link,
    RunId,
    StepId,
    answer_blocks,
    question_blocks,
)
from service.vendors.slack.blocks import escape, fit_text
from service.vendors.slack.channels import channel_id
from service.vendors.slack.client import Blocks, SlackClient, post_to_webhook
from service.vendors.slack.credentials import SlackConnectionOptions
from service.vendors.slack.messages import EFFECT, LOOK_BACK, Text, channel_for, is_ours

_VERDICTS: Mapping[str, str] = {
    "approved": ":white_check_mark: Approved",
    "rejected": ":x: Rejected",
    "timed_out": ":hourglass: Timed out",
    "cancelled": ":heavy_minus_sign: No longer asked",
}


class ApprovalParams(Params):
    """Which step asks, and where."""

    run_id: RunId = Field(description="The run that waits for the decision.")
    step: StepId = Field(description="The step that waits for it.")
    channel: Text | None = Field(
        default=None,
        description="Channel, by id or #name; left out, options.channel of the connection.",
    )

    @property
    def asked(self) -> AskedStep:
        """Give what the buttons stand for."""
        return AskedStep(run_id=self.run_id, step=self.step)


class AskApprovalParams(ApprovalParams):
    """The question to ask, and until when it can be answered."""

    text: Text = Field(description="The question, in mrkdwn.")
    url: Link | None = Field(
        default=None, description="Address where it can be decided as well, shown as a link."
    )
    expires_at: Text | None = Field(
        default=None, description="Until when it is open, as people shall read it."
    )


class AskApprovalOutputs(Outputs):
    """Where the question stands."""

    channel: str | None = Field(description="Id of the channel; empty for an incoming webhook.")
    ts: str | None = Field(description="The message's ts; empty for an incoming webhook.")
    created: bool = Field(default=False, description="The question was posted now.")


class CloseApprovalParams(ApprovalParams):
    """How it was decided."""

    outcome: Literal["approved", "rejected", "timed_out", "cancelled"] = Field(
        description="What came of it: approved, rejected, timed_out or cancelled."
    )
    by: Text | None = Field(default=None, description="Who decided it.")
    note: Text | None = Field(default=None, description="What else is to be said of it.")


class CloseApprovalOutputs(Outputs):
    """What became of the question."""

    channel: str | None = Field(description="Id of the channel; empty when none was found.")
    ts: str | None = Field(description="The message's ts; empty when none was found.")
    closed: bool = Field(
        description="Whether the answer stands below the question now; false when it is gone, was "
        "never posted or cannot be edited."
    )


def ask_approval(context: CallContext, params: AskApprovalParams) -> Done:
    """Ask, or open the question of this step again."""
    known = context.reference or {}
    text, blocks = fit_text(params.text), _question(params)
    digest = _digest(text, blocks)
    channel, ts = as_text(known.get("channel")), as_text(known.get("ts"))
    if known.get("digest") == digest:
        return Done(AskApprovalOutputs(channel=channel, ts=ts), changed=False)
    if context.credentials.webhook_url is not None:
        url = context.credentials.webhook_url.get_secret_value()
        post_to_webhook(context.http, url, text=text, blocks=blocks)
        outputs = AskApprovalOutputs(channel=None, ts=None, created=True)
        return Done(outputs, _reference(None, None, None, text, digest))
    client = SlackClient(context.http)
    asked = channel_for(params.channel, context.options)
    if channel is not None and ts is not None:
        found = client.update_message(channel=channel, ts=ts, text=text, blocks=blocks)
        if found is not None:
            outputs = AskApprovalOutputs(channel=found.channel, ts=found.ts)
            return Done(outputs, _reference(found.channel, asked, found.ts, text, digest))
    posted = client.post_message(
        channel=asked,
        text=text,
        blocks=blocks,
        metadata={
            "event_type": EFFECT,
            "event_payload": {"key": context.idempotency_key, **params.asked.model_dump()},
        },
    )
    outputs = AskApprovalOutputs(channel=posted.channel, ts=posted.ts, created=True)
    return Done(outputs, _reference(posted.channel, asked, posted.ts, text, digest))


def look_up_question(context: CallContext, params: AskApprovalParams) -> Done | None:
    """Find out whether the question of a doubtful call was posted, by the key beside it.

    Raises Refused when nobody can tell, as where the app may not read the channel.
    """
    if context.credentials.webhook_url is not None:
        raise Refused("what an incoming webhook has posted cannot be looked up")
    if as_text((context.reference or {}).get("ts")) is not None:
        return None  # the doubtful call was an edit, which may be made again
    asked = channel_for(params.channel, context.options)
    found = _find(context, params, key=context.idempotency_key)
    if found is None:
        return None
    channel, posted = found
    text = fit_text(params.text)
    reference = _reference(channel, asked, posted.ts, text, _digest(text, _question(params)))
    return Done(AskApprovalOutputs(channel=channel, ts=posted.ts, created=True), reference)


def close_approval(context: CallContext, params: CloseApprovalParams) -> Done:
    """Put what was decided in the place of the buttons."""
    known = context.reference or {}
    channel, ts = as_text(known.get("channel")), as_text(known.get("ts"))
    question = as_text(known.get("text")) or ""
    if context.credentials.webhook_url is not None:
        return _left_as_it_is()  # such a message names neither channel nor ts
    if channel is None or ts is None:
        found = _find(context, params)
        if found is None or found[1].ts is None:
            return _left_as_it_is()
        channel, ts, question = found[0], found[1].ts, found[1].text or ""
    verdict = _verdict(params)
    blocks = answer_blocks(question, params.asked, verdict)
    text = fit_text(f"{verdict}: {question}")
    digest = _digest(text, blocks)
    outputs = CloseApprovalOutputs(channel=channel, ts=ts, closed=True)
    if known.get("digest") == digest:
        return Done(outputs, changed=False)
    edited = SlackClient(context.http).update_message(
        channel=channel, ts=ts, text=text, blocks=blocks
    )
    if edited is None:
        return _left_as_it_is()
    asked = as_text(known.get("asked"))
    return Done(outputs, _reference(channel, asked, ts, question, digest))


def approval_target(params: ApprovalParams, _options: SlackConnectionOptions) -> str:
    """Name the question: one for each step of a run."""
    return f"approval:{params.run_id}:{params.step}"


def _find(
    context: CallContext, params: ApprovalParams, *, key: str | None = None
) -> tuple[str, HistoryMessage] | None:
    """Find the question in the channel, by our key or else by run and step beside it."""
    client = SlackClient(context.http)
    channel = channel_id(context, client, channel_for(params.channel, context.options))
    for one in client.messages(channel, since=context.now - LOOK_BACK):
        if is_ours(one, key) if key is not None else _asks(one, params.asked):
            return channel, one
    return None


def _asks(posted: HistoryMessage, asked: AskedStep) -> bool:
    metadata = posted.metadata
    is_for = {name: metadata.event_payload.get(name) for name in ("run_id", "step")}
    return metadata.event_type == EFFECT and is_for == asked.model_dump()


def _question(params: AskApprovalParams) -> list[dict[str, Json]]:
    return question_blocks(params.text, params.asked, url=params.url, expires_at=params.expires_at)


def _verdict(params: CloseApprovalParams) -> str:
    by = f" by {escape(params.by)}" if params.by else ""
    note = f": {escape(params.note)}" if params.note else ""
    return _VERDICTS[params.outcome] + by + note


def _digest(text: str, blocks: Blocks) -> str:
    content = json.dumps([text, blocks], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()


def _reference(
    channel: str | None, asked: str | None, ts: str | None, text: str, digest: str
) -> dict[str, Json]:
    return {"channel": channel, "asked": asked, "ts": ts, "text": text, "digest": digest}


def _left_as_it_is() -> Done:
    return Done(CloseApprovalOutputs(channel=None, ts=None, closed=False), changed=False)
