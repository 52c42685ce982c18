"""The twin of Slack: messages, edits, history, incoming webhooks, buttons (reference 7)."""

from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import parse_qsl
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from examples.twins.clock import Clock
from examples.twins.ratelimit import Bucket, Limits, Window
from examples.twins.record import mark_effect
from examples.twins.sending import Attempt
from examples.twins.slack_blocks import problems_of, too_long
from examples.twins.slack_buttons import (
    Press,
    Verification,
    press_payload,
    send_press,
    send_verification,
)
from examples.twins.slack_store import (
    BOT_ID,
    BOT_USER_ID,
    TEAM_ID,
    Channel,
    Message,
    Workspace,
    decode,
)
from examples.twins.twin import Refusal, Settings

MAX_TEXT_CHARS = 40_000
MAX_RESPONSES = 5
Fields = dict[str, object]


class SlackSettings(Settings):
    """Settings of this twin. `webhook_channel` is where the incoming webhook posts."""

    key: str = Field(default="xoxb-twin", min_length=1)
    secret: str = "slack-signing-secret"
    webhook_path: str = "/services/T000/B000/XXX"
    webhook_channel: str = "C0000000001"


class AddedChannel(BaseModel):
    """What `POST /_twin/channels` takes; a channel of the same id is replaced."""

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str
    is_member: bool = True
    is_archived: bool = False


class AddedMessage(BaseModel):
    """What `POST /_twin/messages` takes: a message of somebody else."""

    model_config = ConfigDict(extra="forbid")

    channel: str = "C0000000001"
    text: str
    user: str = "U0PERSON1"


class Sent(BaseModel):
    """What came of something the twin sent."""

    status: int | None
    body: str
    error: str | None
    payload: dict[str, object] | None = None
    challenge: str | None = None


class SlackTwin:
    """Slack's Web API for one bot in one workspace."""

    name = "slack"

    def __init__(self, settings: SlackSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.limits: Limits = {
            "message": Bucket(rate_per_s=1.0, burst=5),
            "chat.update": Window(limit=50),
            "conversations.history": Window(limit=50),
            "auth.test": Window(limit=100),
        }
        self.clear()

    def clear(self) -> None:
        """One channel without messages: `C0000000001`, named `qa-alerts`."""
        self._space = Workspace(self.clock)
        self._space.channels["C0000000001"] = Channel("C0000000001", "qa-alerts")
        self._response_uses: dict[str, int] = {}

    def routes(self) -> Sequence[Route]:
        """Web API methods, incoming webhooks, response addresses."""
        both, post = ["GET", "POST"], ["POST"]
        return (
            Route("/api/auth.test", self.show_identity, methods=both),
            Route("/api/chat.postMessage", self.post_message, methods=post),
            Route("/api/chat.update", self.update_message, methods=post),
            Route("/api/conversations.history", self.history, methods=both),
            Route("/services/{path:path}", self.incoming_webhook, methods=post),
            Route("/actions/{code}", self.respond, methods=post),
        )

    def levers(self) -> Sequence[Route]:
        """Channels, foreign messages, pressed buttons, the handshake."""
        return (
            Route("/channels", self.add_channel, methods=["POST"]),
            Route("/messages", self.add_message, methods=["POST"]),
            Route("/press", self.press, methods=["POST"]),
            Route("/url_verification", self.verify_url, methods=["POST"]),
        )

    async def admit(self, request: Request) -> None:
        """A bearer token, or `token` in a form; webhook addresses are their own secret."""
        path = request.url.path
        if not path.startswith("/api/"):
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = str((await _read_form(request)).get("token", ""))
        if not token:
            raise _no("not_authed")
        if token.strip() != self.settings.key:
            raise _no("invalid_auth")
        limit = self.limits.get(path.removeprefix("/api/"))
        if limit is not None:
            standing = limit.take("app", self.clock.seconds())
            if not standing.allowed:
                raise _limited(standing.retry_after_s)

    def refusal(self, status: int, message: str) -> Refusal:
        """Unknown methods are `unknown_method` with HTTP 200; other paths are plain text."""
        return _no("unknown_method") if status in {404, 405} else Refusal(status, message)

    def invalid(self, error: ValidationError) -> Refusal:
        """Bodies are read by hand here; nothing else is validated."""
        return _no("invalid_arguments", messages=[str(error)])

    def state(self) -> dict[str, object]:
        """Channels, messages, answers to buttons."""
        return self._space.show()

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
        fields = await _read_arguments(request)
        channel = self._writable_channel(fields)
        content = _content(fields)
        thread = fields.get("thread_ts")
        if thread and self._space.find_message(channel.channel_id, str(thread)) is None:
            raise _no("thread_not_found")
        self._count_message(channel)
        message = self._add(channel, content, via="chat.postMessage")
        message.thread_ts = str(thread) if thread else None
        message.reply_broadcast = _is_on(fields.get("reply_broadcast"))
        message.metadata = _metadata(fields)
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
        fields = await _read_arguments(request)
        channel = self._known_channel(fields)
        message = self._space.find_message(channel.channel_id, str(fields.get("ts", "")))
        if message is None:
            raise _no("message_not_found")
        if message.bot_id != BOT_ID or message.via != "chat.postMessage":
            raise _no("cant_update_message")
        content = _content(fields)
        message.text, message.blocks, message.attachments = content
        if fields.get("metadata"):
            message.metadata = _metadata(fields)
        message.edited_ts = self._space.next_ts()
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
        fields = {**await _read_arguments(request), **request.query_params}
        channel = self._known_channel(fields)
        if not channel.is_member:
            raise _no("not_in_channel")
        with_metadata = _is_on(fields.get("include_all_metadata"))
        size = decode(fields.get("limit")) or 100
        cursor = str(fields.get("cursor") or "")
        if not isinstance(size, int) or not 1 <= size <= 999:
            raise _no("invalid_limit")
        if cursor and not cursor.startswith("ts:"):
            raise _no("invalid_cursor")
        found = [one for one in self._space.messages if _in_history(one, channel, fields)]
        found.sort(key=lambda one: float(one.ts), reverse=True)
        if cursor:
            found = [one for one in found if float(one.ts) < float(cursor.removeprefix("ts:"))]
        shown, more = found[:size], len(found) > size
        answer: Fields = {
            "ok": True,
            "messages": [one.show(with_metadata=with_metadata) for one in shown],
            "has_more": more,
        }
        if more:
            answer["response_metadata"] = {"next_cursor": f"ts:{shown[-1].ts}"}
        return JSONResponse(answer)

    async def incoming_webhook(self, request: Request) -> Response:
        """Post through a webhook address; errors are plain text with a status of their own."""
        if request.url.path != self.settings.webhook_path:
            raise Refusal(404, "no_service")
        fields = await _read_webhook(request)
        channel = self._space.find_channel(self.settings.webhook_channel)
        if channel is None:
            raise Refusal(404, "channel_not_found")
        if channel.is_archived:
            raise Refusal(410, "channel_is_archived")
        try:
            content = _content(fields)
        except Refusal as refusal:
            body = refusal.body
            code = body.get("error") if isinstance(body, dict) else None
            raise Refusal(400, str(code or "invalid_payload")) from refusal
        self._count_message(channel)
        self._add(channel, content, via="incoming webhook")
        mark_effect(request)
        return PlainTextResponse("ok")

    async def respond(self, request: Request) -> Response:
        """Take an answer to a pressed button, at most five times."""
        code = request.path_params["code"]
        uses = self._response_uses.get(code)
        if uses is None:
            raise Refusal(404, {"ok": False, "error": "invalid_response_url"})
        if uses >= MAX_RESPONSES:
            raise Refusal(404, {"ok": False, "error": "used_url"})
        self._response_uses[code] = uses + 1
        self._space.responses.append(await _read_webhook(request))
        mark_effect(request)
        return JSONResponse({"ok": True})

    def _known_channel(self, fields: Mapping[str, object]) -> Channel:
        wanted = fields.get("channel")
        channel = self._space.find_channel(wanted) if isinstance(wanted, str) else None
        if channel is None:
            raise _no("channel_not_found")
        return channel

    def _writable_channel(self, fields: Mapping[str, object]) -> Channel:
        channel = self._known_channel(fields)
        if channel.is_archived:
            raise _no("is_archived")
        if not channel.is_member:
            raise _no("not_in_channel")
        return channel

    def _count_message(self, channel: Channel) -> None:
        standing = self.limits["message"].take(channel.channel_id, self.clock.seconds())
        if not standing.allowed:
            raise _limited(standing.retry_after_s)

    def _add(
        self, channel: Channel, content: tuple[str, list[Fields], list[Fields]], *, via: str
    ) -> Message:
        text, blocks, attachments = content
        message = Message(
            channel_id=channel.channel_id,
            ts=self._space.next_ts(),
            text=text,
            blocks=blocks,
            attachments=attachments,
            bot_id=BOT_ID,
            user=BOT_USER_ID,
            via=via,
        )
        self._space.messages.append(message)
        return message

    async def add_channel(self, request: Request) -> Response:
        """Lever: add or replace a channel."""
        asked = AddedChannel.model_validate_json(await request.body())
        self._space.channels[asked.id] = Channel(
            asked.id, asked.name, asked.is_member, asked.is_archived
        )
        return JSONResponse(asked.model_dump(), 201)

    async def add_message(self, request: Request) -> Response:
        """Lever: somebody else writes a message."""
        asked = AddedMessage.model_validate_json(await request.body())
        channel = self._known_channel({"channel": asked.channel})
        message = self._add(channel, (asked.text, [], []), via="a person")
        message.bot_id, message.user = None, asked.user
        return JSONResponse({"channel": channel.channel_id, "ts": message.ts}, 201)

    async def press(self, request: Request) -> Response:
        """Lever: somebody presses a button."""
        asked = Press.model_validate_json(await request.body())
        message = self._pressed_message(asked)
        channel = self._space.channels[message.channel_id]
        code = uuid4().hex
        self._response_uses[code] = 0
        payload = press_payload(
            asked,
            channel,
            message,
            response_url=str(request.base_url.replace(path=f"/actions/{code}")),
            action_ts=self._space.next_ts(),
        )
        sent = [
            await send_press(payload, timestamp=asked.timestamp, **self._destination(asked))
            for _ in range(asked.repeat)
        ]
        return JSONResponse([_shown(one, payload=payload) for one in sent])

    def _pressed_message(self, asked: Press) -> Message:
        for message in reversed(self._space.messages):
            if asked.ts not in {None, message.ts} or asked.channel not in {
                None,
                message.channel_id,
            }:
                continue
            if message.find_button(asked.action_id) is not None:
                return message
        raise Refusal(404, {"error": f"no message has a button {asked.action_id!r}"})

    async def verify_url(self, request: Request) -> Response:
        """Lever: do the handshake of the Events API."""
        asked = Verification.model_validate_json(await request.body() or b"{}")
        sent = await send_verification(
            asked.challenge, timestamp=asked.timestamp, **self._destination(asked)
        )
        return JSONResponse(_shown(sent, challenge=asked.challenge))

    def _destination(self, asked: Press | Verification) -> dict[Literal["receiver", "secret"], str]:
        receiver = asked.receiver or self.settings.receiver
        if receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        secret = self.settings.secret if asked.secret is None else asked.secret
        return {"receiver": receiver, "secret": secret}


def _no(error: str, **more: object) -> Refusal:
    """Slack's errors come with HTTP 200."""
    metadata = {"response_metadata": more} if more else {}
    return Refusal(200, {"ok": False, "error": error, **metadata})


def _limited(retry_after_s: int) -> Refusal:
    body = {"ok": False, "error": "ratelimited"}
    return Refusal(429, body, (("retry-after", str(retry_after_s)),))


def _shown(attempt: Attempt, **more: object) -> dict[str, object]:
    return {
        "status": attempt.status,
        "body": attempt.excerpt,
        "error": attempt.error,
        **more,
    }


def _content(fields: Mapping[str, object]) -> tuple[str, list[Fields], list[Fields]]:
    text, blocks, attachments = (
        fields.get("text"),
        decode(fields.get("blocks")) or [],
        decode(fields.get("attachments")) or [],
    )
    if text is not None and not isinstance(text, str):
        raise _no("invalid_arguments", messages=["text must be a string"])
    problems = problems_of(blocks)
    if problems:
        raise _no("invalid_blocks", messages=[f"[ERROR] {problem}" for problem in problems])
    if not isinstance(blocks, list) or not isinstance(attachments, list):
        raise _no("invalid_attachments")
    if not text and not blocks and not attachments:
        raise _no("no_text")
    if len(text or "") > MAX_TEXT_CHARS:
        raise _no("msg_too_long")
    if too_long(blocks):
        raise _no("msg_blocks_too_long")
    return text or "", blocks, attachments


def _metadata(fields: Mapping[str, object]) -> Fields | None:
    given = decode(fields.get("metadata"))
    if given is None:
        return None
    fits = (
        isinstance(given, dict)
        and isinstance(given.get("event_type"), str)
        and isinstance(given.get("event_payload"), dict)
    )
    if not isinstance(given, dict) or not fits:
        raise _no("invalid_metadata_format")
    return given


def _in_history(message: Message, channel: Channel, fields: Mapping[str, object]) -> bool:
    if message.channel_id != channel.channel_id:
        return False
    if message.thread_ts not in {None, message.ts} and not message.reply_broadcast:
        return False
    inclusive = _is_on(fields.get("inclusive"))
    at = float(message.ts)
    oldest, latest = float(str(fields.get("oldest") or 0)), fields.get("latest")
    newest = float(str(latest)) if latest else at + 1
    return oldest < at < newest or (inclusive and at in {oldest, newest})


def _is_on(value: object) -> bool:
    return value is True or str(value).lower() in {"true", "1"}


async def _read_form(request: Request) -> Fields:
    kind = request.headers.get("content-type", "")
    if "application/x-www-form-urlencoded" not in kind:
        return {}
    text = (await request.body()).decode(errors="replace")
    return dict(parse_qsl(text, keep_blank_values=True))


async def _read_arguments(request: Request) -> Fields:
    if "application/json" not in request.headers.get("content-type", ""):
        return await _read_form(request)
    try:
        value = await request.json()
    except ValueError as fault:
        raise _no("invalid_json") from fault
    if not isinstance(value, dict):
        raise _no("json_not_object")
    return value


async def _read_webhook(request: Request) -> Fields:
    form = await _read_form(request)
    value = decode(form["payload"] if "payload" in form else (await request.body()).decode())
    if not isinstance(value, dict):
        raise Refusal(400, "invalid_payload")
    return value
