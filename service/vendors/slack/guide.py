"""What a person does at Slack, and what surprises people there."""

from __future__ import annotations

from service.vendors.base import Guide

_CONFIGURATION = """\
sources:
  - name: slack
    vendor: slack
    secrets: [{env: SLACK_SIGNING_SECRET}]
connections:
  - name: slack
    vendor: slack
    credentials: {bot_token: {env: SLACK_BOT_TOKEN}}
    options: {channel: "#qa"}
"""

GUIDE = Guide(
    pages=(
        "https://docs.slack.dev/authentication/verifying-requests-from-slack",
        "https://docs.slack.dev/interactivity/handling-user-interaction",
        "https://docs.slack.dev/apis/events-api",
        "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    ),
    configuration=_CONFIGURATION,
    incoming=(
        "Open the app at api.slack.com/apps, or create one from scratch in your workspace.",
        "On Basic Information, copy the Signing Secret into the variable SLACK_SIGNING_SECRET.",
        (
            "For buttons and approvals: on Interactivity & Shortcuts, switch Interactivity on and "
            "enter {url} as the Request URL."
        ),
        (
            "For events: on Event Subscriptions, switch Enable Events on and enter {url} as the "
            "Request URL; Slack sends a challenge, which is answered at once. Then subscribe to "
            "the bot events you want, such as app_mention."
        ),
        "For a slash command: on Slash Commands, create it with {url} as its Request URL.",
        "Install the app to the workspace again when Slack asks for it.",
    ),
    outgoing=(
        (
            "On OAuth & Permissions, add the bot scope chat:write. Add channels:history (and "
            "groups:history for private channels), so that a message whose answer was lost can be "
            "looked up, and channels:read where channels are given by name."
        ),
        "Install the app, and copy the Bot User OAuth Token (xoxb-…) into SLACK_BOT_TOKEN.",
        "In each channel it shall write to, invite the bot: /invite @<bot>.",
        (
            "Without a bot an incoming webhook will do: add one on Incoming Webhooks, and give its "
            "address as credentials.webhook_url instead of bot_token."
        ),
    ),
    notes=(
        (
            "What an incoming webhook has posted can neither be edited nor looked up: Slack does "
            "not say which message it became. Give a bot_token where messages are kept."
        ),
        (
            "A channel takes about one message a second. All messages of one connection are kept "
            "to that, with up to five at once."
        ),
        (
            "Slack waits three seconds for an answer to a button and does not try again; events "
            "are tried again at once, after one minute and after five."
        ),
        (
            "Everybody who sees a button can press it: compare user_id with an allow-list in the "
            "condition of the workflow that acts on it."
        ),
        (
            "An approval asked by slack.ask_approval needs Interactivity switched on, and a source "
            "of this vendor: its buttons come back as approval.decided. Whoever can read the "
            "channel can decide, unless options.approvers of the source names who may."
        ),
        (
            "A press can be answered five times within 30 minutes (slack.respond). A link button "
            "is a press too."
        ),
        (
            "A bot token does not end by itself and cannot be renewed by us: when Slack revokes "
            "it, copy a new one."
        ),
        (
            "Events of the type message tell the app's own messages too: leave out those that have "
            "event.payload.event.bot_id, or a workflow answers itself."
        ),
        "The verification token that Slack still sends in bodies is left out of events.",
    ),
)
