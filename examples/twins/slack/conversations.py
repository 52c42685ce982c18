"""Lists of channels and of their messages, in pages with a cursor (reference 7.2)."""

from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.slack.arguments import Fields, is_on, read_arguments, refuse
from examples.twins.slack.workspace import Channel, Message, Workspace, decode
from examples.twins.slack.writing import Writer

USUAL_PAGE = 100
MAX_PAGE = 999


class Conversations:
    """The `conversations.*` methods this twin has."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @property
    def _space(self) -> Workspace:
        return self._writer.space

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        both = ["GET", "POST"]
        return (
            Route("/api/conversations.list", self.list_channels, methods=both),
            Route("/api/conversations.history", self.history, methods=both),
            Route("/api/conversations.replies", self.replies, methods=both),
        )

    async def list_channels(self, request: Request) -> Response:
        """Public channels by id, in pages."""
        fields = await read_arguments(request)
        size = _size(fields)
        without_archived = is_on(fields.get("exclude_archived"))
        after = str(fields.get("cursor") or "").removeprefix("team:")
        found = [
            channel
            for name, channel in sorted(self._space.channels.items())
            if name > after and not (without_archived and channel.is_archived)
        ]
        answer: Fields = {
            "ok": True,
            "channels": [
                {
                    "id": one.channel_id,
                    "name": one.name,
                    "is_channel": True,
                    "is_archived": one.is_archived,
                    "is_member": one.is_member,
                }
                for one in found[:size]
            ],
        }
        # The last page has a cursor too, which is empty.
        cursor = f"team:{found[size - 1].channel_id}" if len(found) > size else ""
        return JSONResponse({**answer, "response_metadata": {"next_cursor": cursor}})

    async def history(self, request: Request) -> Response:
        """Messages of a channel, newest first, in pages."""
        fields = await read_arguments(request)
        channel = self._readable(fields)
        found = [
            one
            for one in self._space.messages
            if one.channel_id == channel.channel_id
            and (one.thread_ts in {None, one.ts} or one.reply_broadcast)
        ]
        found.sort(key=lambda one: float(one.ts), reverse=True)
        return _page(found, fields, lambda ts, mark: ts < mark)

    async def replies(self, request: Request) -> Response:
        """A message and its thread, oldest first, in pages."""
        fields = await read_arguments(request)
        channel = self._readable(fields)
        ts = str(fields.get("ts") or "")
        if self._space.find_message(channel.channel_id, ts) is None:
            raise refuse("thread_not_found")
        found = [
            one
            for one in self._space.messages
            if one.channel_id == channel.channel_id and ts in {one.ts, one.thread_ts}
        ]
        found.sort(key=lambda one: float(one.ts))
        return _page(found, fields, lambda ts, mark: ts > mark)

    def _readable(self, fields: Mapping[str, object]) -> Channel:
        channel = self._writer.known_channel(fields.get("channel"))
        if not channel.is_member:
            raise refuse("not_in_channel")
        return channel


def _page(
    found: list[Message],
    fields: Mapping[str, object],
    comes_after: Callable[[float, float], bool],
) -> Response:
    size = _size(fields)
    found = [one for one in found if _is_within(float(one.ts), fields)]
    cursor = str(fields.get("cursor") or "")
    if cursor:
        mark = _time(cursor.removeprefix("ts:"), error="invalid_cursor")
        found = [one for one in found if comes_after(float(one.ts), mark)]
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


def _size(fields: Mapping[str, object]) -> int:
    size = decode(fields.get("limit")) or USUAL_PAGE
    if not isinstance(size, int) or not 1 <= size <= MAX_PAGE:
        raise refuse("invalid_limit")
    return size


def _is_within(at: float, fields: Mapping[str, object]) -> bool:
    oldest = _time(fields.get("oldest") or 0, error="invalid_ts_oldest")
    newest = _time(fields.get("latest") or at + 1, error="invalid_ts_latest")
    on_edge = at in {oldest, newest} and is_on(fields.get("inclusive"))
    return oldest < at < newest or on_edge


def _time(value: object, *, error: str) -> float:
    try:
        return float(str(value))
    except ValueError as fault:
        raise refuse(error) from fault
