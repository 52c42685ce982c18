"""Answers to what a person did in Slack: a pressed button, a slash command (reference 7.4).

Each comes with an address of its own that takes five answers within 30 minutes and needs no token.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from schemas.events import Json
from service.errors import Permanent
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.reading import as_whole
from service.vendors.slack.blocks import fit_blocks, fit_text
from service.vendors.slack.client import answer_press
from service.vendors.slack.credentials import SlackConnectionOptions

MOST_ANSWERS = 5
"""Slack takes no more at one address."""

_ADDRESS = re.compile(r"https?://\S+")


def _checked_address(address: SecretStr) -> SecretStr:
    """Give the address. Raises ValueError, without showing it, for what is none."""
    if _ADDRESS.fullmatch(address.get_secret_value()) is None:
        message = "it must be an address that begins with http:// or https://"
        raise ValueError(message)
    return address


# Whoever has the address may answer in our name for half an hour: it is not written into effects.
Address = Annotated[SecretStr, AfterValidator(_checked_address)]


class RespondParams(Params):
    """Where to answer, what to say, and what becomes of the message with the button."""

    response_url: Address = Field(
        description="The response_url in the payload of the button's or command's event."
    )
    text: str = Field(
        default="",
        description="What the answer says, in mrkdwn; may be empty when the original is deleted.",
    )
    blocks: tuple[dict[str, Json], ...] = Field(
        default=(), description="Block Kit blocks; what is too long for Slack is cut, visibly."
    )
    response_type: Literal["ephemeral", "in_channel"] = Field(
        default="ephemeral",
        description="Who sees the answer: the person alone, or everybody in the channel.",
    )
    replace_original: bool = Field(
        default=False, description="Puts the answer in the place of the message with the button."
    )
    delete_original: bool = Field(default=False, description="Deletes the message with the button.")


class RespondOutputs(Outputs):
    """What is left of the address."""

    answers_left: int = Field(description="How many answers Slack still takes for this press.")


def respond(context: CallContext, params: RespondParams) -> Done:
    """Answer a press, at most five times."""
    used = as_whole((context.reference or {}).get("answers")) or 0
    if used >= MOST_ANSWERS:
        raise Permanent(
            "this press was answered five times, and Slack takes no more",
            hint="post a message or edit the original instead",
        )
    if not params.text.strip() and not params.blocks and not params.delete_original:
        raise Permanent("the answer says nothing", hint="give text, blocks or delete_original")
    answer_press(
        context.http,
        params.response_url.get_secret_value(),
        text=fit_text(params.text),
        blocks=fit_blocks(params.blocks),
        response_type=params.response_type,
        replace_original=params.replace_original,
        delete_original=params.delete_original,
    )
    outputs = RespondOutputs(answers_left=MOST_ANSWERS - used - 1)
    return Done(outputs, {"answers": used + 1})


def respond_target(params: RespondParams, _options: SlackConnectionOptions) -> str:
    """Name the press, without the address, which is a secret."""
    return f"press:{hashlib.sha256(params.response_url.get_secret_value().encode()).hexdigest()}"
