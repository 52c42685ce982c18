"""What workflows may ask of Slack, by name."""

from __future__ import annotations

from service.vendors.base import Action, Safety
from service.vendors.slack import approving, messages, responding

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
    Action(
        name="slack.ask_approval",
        summary="Ask people to approve or reject what a step of a run is about to do",
        params=approving.AskApprovalParams,
        outputs=approving.AskApprovalOutputs,
        perform=approving.ask_approval,
        safety=Safety.ONCE,
        target=approving.approval_target,
        look_up=approving.look_up_question,
    ),
    Action(
        name="slack.close_approval",
        summary="Put what was decided in the place of an approval's buttons",
        params=approving.CloseApprovalParams,
        outputs=approving.CloseApprovalOutputs,
        perform=approving.close_approval,
        safety=Safety.FIND_AND_UPDATE,
        target=approving.approval_target,
    ),
)
