"""Slack's signature: HMAC-SHA256 of `v0:{time}:{body}`, over the raw body of every kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from service.signatures import Scheme, compile_verifier, preset, sign_with
from service.vendors.base import Secret, Signed, Verifier
from service.vendors.reading import put, read_form, read_object
from service.vendors.slack.events import APPROVALS
from service.vendors.slack.options import SlackOptions

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


def scheme_of(options: SlackOptions) -> Scheme:
    """Give Slack's scheme with the tolerance of the options."""
    return preset("slack").changed({"tolerance_s": options.tolerance_s})


def verifier(options: SlackOptions, secrets: Sequence[Secret]) -> Verifier:
    """Give the check of one source. Raises ConfigurationError."""
    return compile_verifier(scheme_of(options), secrets)


def sign(
    body: bytes,
    secret: str,
    now: datetime,
    options: SlackOptions,
    *,
    event: str,
    delivery_id: str,
) -> Signed:
    """Give a body as Slack would send it, with ids and event set where Slack has them.

    A body that begins with `{` is of the Events API, `payload=` a pressed button or the like,
    `name=value` a slash command; anything else is sent as it is.
    """
    kind = _JSON if body.lstrip().startswith(b"{") else _FORM
    with suppress(ValueError):  # a broken body is to arrive broken
        body = _marked(body, event, delivery_id)
    headers = sign_with(scheme_of(options), body, secret, now, delivery_id)
    return Signed(headers=(("Content-Type", kind), *headers), body=body)


def _marked(body: bytes, event: str, delivery_id: str) -> bytes:
    if body.startswith(b"payload="):
        payload = read_object(read_form(body, "payload"))
        # Our name of a decision is the interaction's with the button's behind it.
        name, _, action_id = event.partition(".") if event in APPROVALS else (event, "", "")
        payload["type"] = name or payload.get("type")
        _mark_interaction(payload, action_id, delivery_id)
        return urlencode({"payload": json.dumps(payload)}).encode()
    if body.lstrip().startswith(b"{"):
        document = read_object(body)
        if document.get("type") == "event_callback":
            put(document, "event_id", delivery_id)
            if event:
                put(document, "event.type", event)
        return json.dumps(document).encode()
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
    return urlencode({**fields, "trigger_id": delivery_id}).encode()


def _mark_interaction(payload: dict[str, Any], action_id: str, delivery_id: str) -> None:
    actions = payload.get("actions")
    if isinstance(actions, list) and actions and isinstance(actions[0], dict):
        actions[0]["action_ts"] = delivery_id
        actions[0]["action_id"] = action_id or actions[0].get("action_id")
    else:
        payload["trigger_id"] = delivery_id
