"""Slack's events: the handshake, the delivery key, and what was pressed, written or asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from schemas.events import ApprovalFacts, EventDraft, Facts, Json
from schemas.storable import storable
from service.errors import HandshakeError
from service.vendors.base import Answer, Delivery
from service.vendors.reading import (
    as_key,
    as_name,
    as_time,
    body_id,
    is_form,
    read_form,
    read_object,
)
from service.vendors.slack.approvals import APPROVE, REJECT, decision_of
from service.vendors.slack.options import SlackOptions
from service.vendors.slack.payloads import (
    ButtonFacts,
    Callback,
    Command,
    Interaction,
    MessageFacts,
    Pressed,
)

MAX_CHALLENGE_CHARS = 1000
MAX_FORM_FIELDS = 100
_VERIFICATION = "url_verification"
_PRESSED = "block_actions"
DECIDED = "approval.decided"

# What workflows mostly wait for. Any other event of the Events API and any other interaction
# becomes `slack.<its name>` in the same way.
EVENTS: Mapping[str, str] = {
    _PRESSED: f"slack.{_PRESSED}",
    "view_submission": "slack.view_submission",
    "view_closed": "slack.view_closed",
    "shortcut": "slack.shortcut",
    "message_action": "slack.message_action",
    "slash_command": "slack.slash_command",
    "app_mention": "slack.app_mention",
    "message": "slack.message",
    "reaction_added": "slack.reaction_added",
    "reaction_removed": "slack.reaction_removed",
}
# Buttons of our own approvals, told apart by their action_id.
APPROVALS: Mapping[str, str] = {f"{_PRESSED}.{name}": DECIDED for name in (APPROVE, REJECT)}
TYPES: Mapping[str, str] = {**EVENTS, **APPROVALS, "*": "slack.*"}


def handshake(delivery: Delivery, _options: SlackOptions) -> Answer | None:
    """Answer `url_verification` with its challenge; None for everything else.

    Raises HandshakeError when there is no challenge to give back.
    """
    if _VERIFICATION.encode() not in delivery.body or is_form(delivery):
        return None
    try:
        body = read_object(delivery.body)
    except ValueError:
        return None
    if body.get("type") != _VERIFICATION:
        return None
    challenge = body.get("challenge")
    if not isinstance(challenge, str) or not 0 < len(challenge) <= MAX_CHALLENGE_CHARS:
        raise HandshakeError("url_verification has no challenge that can be given back")
    return Answer(status=200, body=json.dumps({"challenge": challenge}).encode())


def delivery_key(delivery: Delivery, _options: SlackOptions) -> str:
    """Give what Slack repeats when it tries again: the event's id, or who pressed what and when."""
    found = body_id(delivery, ("event_id",)) if not is_form(delivery) else _form_key(delivery)
    return as_key(found) if found else delivery.body_digest()


def _form_key(delivery: Delivery) -> str | None:
    try:
        if not _is_interaction(delivery):
            return Command.model_validate(_fields(delivery)).trigger_id
        it = Interaction.model_validate_json(read_form(delivery.body, "payload"))
    except ValueError:
        return None
    return _press_of(it, it.actions[0]) if it.actions else it.trigger_id


def _press_of(it: Interaction, pressed: Pressed) -> str | None:
    """Give who pressed what and when; the trigger's id where no element was pressed."""
    if pressed.action_ts is None:
        return it.trigger_id
    parts = (it.container.message_ts, pressed.action_id, it.user.id, pressed.action_ts)
    return ":".join(part or "" for part in parts)


def _type_of(vendor_type: str) -> str:
    return EVENTS.get(vendor_type, f"slack.{vendor_type}")


def _fact(kind: str, id_: str | None, key: str = "") -> str:
    """Give the identity of what happened; none where Slack gives no id."""
    if id_ is None:
        return ""
    return as_key(":".join([kind, id_, key] if key else [kind, id_]))


def normalise(delivery: Delivery, options: SlackOptions) -> list[EventDraft]:
    """Give one event for each pressed element, or the one event of any other delivery.

    Raises ValueError when the body is neither a form nor a JSON object of Slack's.
    """
    if not is_form(delivery):
        return [_read_callback(delivery)]
    if _is_interaction(delivery):
        return _read_interaction(delivery, options.approvers)
    return [_read_command(delivery)]


def _is_interaction(delivery: Delivery) -> bool:
    return delivery.body.startswith(b"payload=") or b"&payload=" in delivery.body


def _fields(delivery: Delivery) -> dict[str, str]:
    """Give a form's fields, without the token that Slack sends beside its signature."""
    text = delivery.body.decode("utf-8", "replace")
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    # Only now: a form may hide in its percent signs what a database cannot keep.
    fields: dict[str, str] = storable({name: value for name, value in pairs if name != "token"})
    return fields


def _read_callback(delivery: Delivery) -> EventDraft:
    payload = read_object(delivery.body)
    it = Callback.model_validate(payload)
    vendor_type = as_name(it.event.type or it.type or "")
    if not vendor_type:
        message = "the body names no type"
        raise ValueError(message)
    facts = MessageFacts(
        user_id=it.event.user.id,
        channel_id=it.event.channel.id,
        team_id=it.team_id,
        text=it.event.text,
        ts=it.event.ts,
        thread_ts=it.event.thread_ts,
    )
    return EventDraft(
        type=_type_of(vendor_type),
        vendor_type=vendor_type,
        subject=it.event.channel.id or it.team_id,
        time=it.event_time,
        facts=facts.model_dump(mode="json"),
        payload=_without_token(payload),
        fact=_fact("event", it.event_id),
    )


def _read_interaction(delivery: Delivery, approvers: Collection[str]) -> list[EventDraft]:
    payload = read_object(read_form(delivery.body, "payload"))
    it = Interaction.model_validate(payload)
    vendor_type = as_name(it.type or "")
    if not vendor_type:
        message = "the payload names no type"
        raise ValueError(message)
    may_decide = vendor_type == _PRESSED and (not approvers or it.user.id in approvers)
    # A shortcut or a view has no pressed element, and is yet one event.
    return [
        _read_pressed(
            it,
            pressed,
            vendor_type,
            payload=_without_token(payload),
            key=str(number or ""),
            may_decide=may_decide,
        )
        for number, pressed in enumerate(it.actions or (Pressed(),))
    ]


def _read_pressed(
    it: Interaction,
    pressed: Pressed,
    vendor_type: str,
    *,
    payload: Json,
    key: str,
    may_decide: bool,
) -> EventDraft:
    """Give what one element says: a decision where it is a button of an approval."""
    channel = it.channel.id or it.container.channel_id
    type_, subject = _type_of(vendor_type), pressed.action_id or it.callback_id
    decision = decision_of(pressed) if may_decide else None
    facts: Facts = ButtonFacts(
        user_id=it.user.id,
        user_name=it.user.name,
        channel_id=channel,
        team_id=it.team.id,
        message_ts=it.container.message_ts or it.message_ts,
        action_id=pressed.action_id,
        block_id=pressed.block_id,
        value=pressed.value or pressed.selected_option.value,
    )
    if decision is not None:
        asked, is_approved = decision
        type_, subject = DECIDED, asked.run_id
        vendor_type = f"{vendor_type}.{pressed.action_id}"
        facts = ApprovalFacts(
            run_id=asked.run_id,
            step=asked.step,
            approved=is_approved,
            by=it.user.name or it.user.id,
            by_id=it.user.id,
            asked_in=channel,
        )
    return EventDraft(
        type=type_,
        vendor_type=vendor_type,
        subject=subject,
        time=_time_of(pressed.action_ts or it.action_ts),
        facts=facts.model_dump(mode="json"),
        payload=payload,
        key=key,
        fact=_fact("press", _press_of(it, pressed), key),
    )


def _time_of(seconds: str | None) -> datetime | None:
    try:
        return as_time(float(seconds or ""))
    except ValueError:
        return None


def _read_command(delivery: Delivery) -> EventDraft:
    payload = _fields(delivery)
    it = Command.model_validate(payload)
    if it.command is None:
        message = "the form is neither an interaction nor a slash command"
        raise ValueError(message)
    facts = MessageFacts(
        user_id=it.user_id, channel_id=it.channel_id, team_id=it.team_id, text=it.text
    )
    return EventDraft(
        type=_type_of("slash_command"),
        vendor_type="slash_command",
        subject=it.command,
        facts=facts.model_dump(mode="json"),
        payload=payload,
        fact=_fact("command", it.trigger_id),
    )


def _without_token(payload: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in payload.items() if name != "token"}
