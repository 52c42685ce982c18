"""Puts messages into channels, at the pace Slack allows (reference 7.3)."""

from dataclasses import dataclass

from examples.twins.clock import Clock
from examples.twins.ratelimit import Bucket
from examples.twins.slack.arguments import Content, refuse, refuse_for_now
from examples.twins.slack.workspace import BOT_ID, BOT_USER_ID, Channel, Message, Workspace


@dataclass(slots=True)
class Writer:
    """The workspace with its limit on messages per channel."""

    space: Workspace
    clock: Clock
    limit: Bucket

    def known_channel(self, wanted: object, *, by_name: bool = False) -> Channel:
        """The channel with this id, or by its name if that is allowed, or Slack's refusal."""
        channel = self.space.find_channel(wanted) if isinstance(wanted, str) else None
        if channel is not None and not by_name and channel.channel_id != wanted:
            channel = None
        if channel is None:
            raise refuse("channel_not_found")
        return channel

    def write(self, channel: Channel, content: Content, *, via: str) -> Message:
        """Add a message of the bot; 429 when the channel has had too many."""
        standing = self.limit.take(channel.channel_id, self.clock.seconds())
        if not standing.allowed:
            raise refuse_for_now(standing.retry_after_s)
        return self.add(channel, content, via=via)

    def add(self, channel: Channel, content: Content, *, via: str) -> Message:
        """Add a message, whatever the limit says."""
        message = Message(
            channel_id=channel.channel_id,
            ts=self.space.next_ts(),
            text=content.text,
            blocks=content.blocks,
            attachments=content.attachments,
            bot_id=BOT_ID,
            user=BOT_USER_ID,
            via=via,
        )
        self.space.messages.append(message)
        return message
