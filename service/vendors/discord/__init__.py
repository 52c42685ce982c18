"""Discord: commands and buttons of an application, and its web hook events.

Pages: discord.com/developers/docs, interactions and webhook events (vendors.md §8.12 has the
signature). What a PING is and how it is answered, the numbers of interactions, bodies and the
answer 204 are general knowledge.
"""

from __future__ import annotations

from service.vendors.base import Answer, Delivery, Guide
from service.vendors.declared import Declaration, declare, source_configuration
from service.vendors.reading import as_text, read_object

_EVENTS_PING, _INTERACTIONS_PING = "0", "1"


def _answer_ping(delivery: Delivery) -> Answer | None:
    """Answer a PING: of web hook events with 204, of interactions with a PONG."""
    try:
        body = read_object(delivery.body)
    except ValueError:
        return None
    kind = as_text(body.get("type"))
    if "event" in body:  # a web hook event, whose type is 1 too
        return None
    if kind == _EVENTS_PING:
        return Answer(204, b"")
    return Answer(200, b'{"type": 1}') if kind == _INTERACTIONS_PING else None


VENDOR = declare(
    Declaration(
        name="discord",
        title="Discord",
        guide=Guide(
            pages=(
                "https://discord.com/developers/docs/events/webhook-events",
                "https://discord.com/developers/docs/interactions/overview",
            ),
            incoming=(
                (
                    "In the Developer Portal, open the application and copy its Public Key into "
                    "the variable DISCORD_PUBLIC_KEY."
                ),
                (
                    "Start Hookwright with this source first: Discord asks at once when an address "
                    "is saved."
                ),
                (
                    "Under Webhooks, set the Endpoint URL to {url} and choose the events; or, for "
                    "commands and buttons, set the Interactions Endpoint URL under General "
                    "Information."
                ),
            ),
            notes=(
                (
                    "The secret is the public key, 64 hex digits: Discord keeps the private one, "
                    "so `hookwright send` cannot sign for Discord."
                ),
                (
                    "Discord wants an answer within 3 seconds and gets an empty 204; what is said "
                    "to the person who pressed a button is sent through Discord's API."
                ),
                (
                    "Interactions are discord.application_command, discord.message_component and "
                    "so on; web hook events keep their names, as in discord.APPLICATION_AUTHORIZED."
                ),
            ),
            configuration=source_configuration("discord", "DISCORD_PUBLIC_KEY"),
        ),
        schemes=("discord",),
        events={
            "2": "discord.application_command",
            "3": "discord.message_component",
            "4": "discord.application_command_autocomplete",
            "5": "discord.modal_submit",
        },
        subject=("event.data.user.id", "member.user.id", "user.id"),
        time=("event.timestamp",),
        fact=("id",),
        facts={
            "name": ("data.name",),
            "custom_id": ("data.custom_id",),
            "channel": ("channel_id",),
            "guild": ("guild_id", "event.data.guild.id"),
            "author": ("member.user.username", "user.username", "event.data.user.username"),
        },
        handshake=_answer_ping,
        status_code=204,
        answer_body=False,
    )
)
