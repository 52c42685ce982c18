"""Posting and editing messages, and whose token it is (reference 7.2)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.slack.arguments import (
    is_on,
    read_arguments,
    read_content,
    read_metadata,
    refuse,
)
from examples.twins.slack.workspace import BOT_ID, BOT_USER_ID, TEAM_ID
from examples.twins.slack.writing import Writer


class Messages:
    """The Web API methods about messages, and `auth.test`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        both, post = ["GET", "POST"], ["POST"]
        return (
            Route("/api/auth.test", self.show_identity, methods=both),
            Route("/api/chat.postMessage", self.post_message, methods=post),
            Route("/api/chat.update", self.update_message, methods=post),
        )

    async def show_identity(self, _: Request) -> Response:
        """Whose token it is."""
        return JSONResponse(
            {
                "ok": True,
                "url": "https://twin.slack.com/",
                "team": "Twin",
                "user": "hookwright",
                "team_id": TEAM_ID,
                "user_id": BOT_USER_ID,
                "bot_id": BOT_ID,
            }
        )

    async def post_message(self, request: Request) -> Response:
        """Post a message to a channel."""
        fields = await read_arguments(request)
        channel = self._writer.known_channel(fields.get("channel"), by_name=True)
        if channel.is_archived:
            raise refuse("is_archived")
        if not channel.is_member:
            raise refuse("not_in_channel")
        content, metadata = read_content(fields), read_metadata(fields)
        thread = fields.get("thread_ts")
        if thread and self._writer.space.find_message(channel.channel_id, str(thread)) is None:
            raise refuse("thread_not_found")
        message = self._writer.write(channel, content, via="chat.postMessage")
        message.thread_ts = str(thread) if thread else None
        message.reply_broadcast = is_on(fields.get("reply_broadcast"))
        message.metadata = metadata
        mark_effect(request)
        return JSONResponse(
            {
                "ok": True,
                "channel": channel.channel_id,
                "ts": message.ts,
                "message": message.show(with_metadata=True),
            }
        )

    async def update_message(self, request: Request) -> Response:
        """Replace one of the bot's own messages."""
        fields = await read_arguments(request)
        channel = self._writer.known_channel(fields.get("channel"))
        space = self._writer.space
        message = space.find_message(channel.channel_id, str(fields.get("ts", "")))
        if message is None:
            raise refuse("message_not_found")
        if message.bot_id != BOT_ID or message.via != "chat.postMessage":
            raise refuse("cant_update_message")
        content, metadata = read_content(fields), read_metadata(fields)
        message.before.append(message.blocks)
        message.text, message.blocks = content.text, content.blocks
        message.attachments = content.attachments
        message.metadata = metadata or message.metadata
        message.edited_ts = space.next_ts()
        message.versions += 1
        mark_effect(request)
        return JSONResponse(
            {
                "ok": True,
                "channel": channel.channel_id,
                "ts": message.ts,
                "text": message.text,
                "message": message.show(with_metadata=True),
            }
        )
