"""Posting, editing and listing messages (reference 7.2)."""

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.slack.arguments import (
    Fields,
    is_on,
    read_arguments,
    read_content,
    read_metadata,
    refuse,
)
from examples.twins.slack.workspace import BOT_ID, BOT_USER_ID, TEAM_ID, Channel, Message, decode
from examples.twins.slack.writing import Writer

USUAL_PAGE = 100
MAX_PAGE = 999


class Messages:
    """The Web API methods this twin has."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        both, post = ["GET", "POST"], ["POST"]
        return (
            Route("/api/auth.test", self.show_identity, methods=both),
            Route("/api/chat.postMessage", self.post_message, methods=post),
            Route("/api/chat.update", self.update_message, methods=post),
            Route("/api/conversations.history", self.history, methods=both),
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

    async def history(self, request: Request) -> Response:
        """Messages of a channel, newest first, in pages."""
        fields = await read_arguments(request)
        channel = self._writer.known_channel(fields.get("channel"))
        if not channel.is_member:
            raise refuse("not_in_channel")
        size = decode(fields.get("limit")) or USUAL_PAGE
        if not isinstance(size, int) or not 1 <= size <= MAX_PAGE:
            raise refuse("invalid_limit")
        found = [one for one in self._writer.space.messages if _is_listed(one, channel, fields)]
        found.sort(key=lambda one: float(one.ts), reverse=True)
        cursor = str(fields.get("cursor") or "")
        if cursor:
            before = _time(cursor.removeprefix("ts:"), error="invalid_cursor")
            found = [one for one in found if float(one.ts) < before]
        with_metadata = is_on(fields.get("include_all_metadata"))
        shown, more = found[:size], len(found) > size
        answer: Fields = {
            "ok": True,
            "messages": [one.show(with_metadata=with_metadata) for one in shown],
            "has_more": more,
        }
        if more:
            answer["response_metadata"] = {"next_cursor": f"ts:{shown[-1].ts}"}
        return JSONResponse(answer)


def _is_listed(message: Message, channel: Channel, fields: Mapping[str, object]) -> bool:
    if message.channel_id != channel.channel_id:
        return False
    if message.thread_ts not in {None, message.ts} and not message.reply_broadcast:
        return False
    at = float(message.ts)
    oldest = _time(fields.get("oldest") or 0, error="invalid_ts_oldest")
    newest = _time(fields.get("latest") or at + 1, error="invalid_ts_latest")
    on_edge = at in {oldest, newest} and is_on(fields.get("inclusive"))
    return oldest < at < newest or on_edge


def _time(value: object, *, error: str) -> float:
    try:
        return float(str(value))
    except ValueError as fault:
        raise refuse(error) from fault
