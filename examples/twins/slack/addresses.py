"""Addresses that are their own secret: the incoming webhook, and answers to pressed buttons."""

from collections.abc import Sequence
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.slack.arguments import read_content, read_webhook
from examples.twins.slack.settings import SlackSettings
from examples.twins.slack.writing import Writer
from examples.twins.twin import Refusal

MAX_RESPONSES = 5
RESPONSES_END_S = 30 * 60.0


class Addresses:
    """The calls without a token (reference 7.2, 7.4)."""

    def __init__(self, settings: SlackSettings, writer: Writer) -> None:
        self._settings = settings
        self._writer = writer
        self._uses: dict[str, int] = {}
        self._ends_s: dict[str, float] = {}

    def clear(self) -> None:
        """No response address is known any more."""
        self._uses.clear()
        self._ends_s.clear()

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        return (
            Route("/services/{path:path}", self.take_webhook, methods=["POST"]),
            Route("/actions/{code}", self.take_response, methods=["POST"]),
        )

    def make_response_path(self) -> str:
        """A fresh path where a press may be answered, five times at most within 30 minutes."""
        code = uuid4().hex
        self._uses[code] = 0
        self._ends_s[code] = self._writer.clock.seconds() + RESPONSES_END_S
        return f"/actions/{code}"

    async def take_webhook(self, request: Request) -> Response:
        """Post through the incoming webhook; errors are plain text with a status of their own."""
        if request.url.path != self._settings.webhook_path:
            raise Refusal(404, "no_service")
        fields = await read_webhook(request)
        channel = self._writer.space.find_channel(self._settings.webhook_channel)
        if channel is None:
            raise Refusal(404, "channel_not_found")
        if channel.is_archived:
            raise Refusal(410, "channel_is_archived")
        try:
            content = read_content(fields)
        except Refusal as refusal:
            code = refusal.body.get("error") if isinstance(refusal.body, dict) else None
            raise Refusal(400, str(code or "invalid_payload")) from refusal
        self._writer.write(channel, content, via="incoming webhook")
        mark_effect(request)
        return PlainTextResponse("ok")

    async def take_response(self, request: Request) -> Response:
        """Take an answer to a pressed button."""
        code = request.path_params["code"]
        uses = self._uses.get(code)
        if uses is None:
            raise Refusal(404, {"ok": False, "error": "invalid_response_url"})
        if self._writer.clock.seconds() >= self._ends_s[code]:
            raise Refusal(404, {"ok": False, "error": "expired_url"})
        if uses >= MAX_RESPONSES:
            raise Refusal(404, {"ok": False, "error": "used_url"})
        fields = await read_webhook(request)
        self._uses[code] = uses + 1
        self._writer.space.responses.append(fields)
        mark_effect(request)
        return JSONResponse({"ok": True})
