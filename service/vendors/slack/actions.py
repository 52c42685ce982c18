"""What workflows may ask of Slack, by name."""

from __future__ import annotations

from service.vendors.base import Action, Safety
from service.vendors.slack import messages, responding

ACTIONS = (
    Action(
        name="slack.message",
        summary="Post a message, or edit the one kept under its key",
        params=messages.MessageParams,
        outputs=messages.MessageOutputs,
        perform=messages.message,
        safety=Safety.ONCE,
        target=messages.message_target,
        look_up=messages.look_up_message,
    ),
    Action(
        name="slack.update",
        summary="Edit a message whose channel and ts are known",
        params=messages.UpdateParams,
        outputs=messages.UpdateOutputs,
        perform=messages.update,
        safety=Safety.FIND_AND_UPDATE,
        target=messages.update_target,
    ),
    Action(
        name="slack.respond",
        summary="Answer a pressed button or a slash command where it was used",
        params=responding.RespondParams,
        outputs=responding.RespondOutputs,
        perform=responding.respond,
        safety=Safety.ONCE,
        target=responding.respond_target,
    ),
)
