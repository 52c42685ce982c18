"""The Slack twin put together: admission, errors, levers."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.clock import Clock
from examples.twins.ratelimit import Bucket, Limits, Window
from examples.twins.slack.addresses import Addresses
from examples.twins.slack.arguments import Content, read_form, refuse, refuse_for_now
from examples.twins.slack.buttons import (
    Press,
    SlackSender,
    Verification,
    find_pressed,
    press_payload,
)
from examples.twins.slack.conversations import Conversations
from examples.twins.slack.happenings import Command, Happening, callback_body, command_fields
from examples.twins.slack.messages import Messages
from examples.twins.slack.settings import Signing, SlackSettings
from examples.twins.slack.workspace import HOME, Channel, Message, Workspace
from examples.twins.slack.writing import Writer
from examples.twins.twin import Refusal


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


class Filling(BaseModel):
    """What `POST /_twin/fill` takes: so many channels, and messages in the first channel.

    With `thread_ts` the messages are replies to that message.
    """

    model_config = ConfigDict(extra="forbid")

    channels: int = Field(default=0, ge=0, le=5000)
    messages: int = Field(default=0, ge=0, le=5000)
    thread_ts: str | None = None


class SlackTwin:
    """Slack for one bot in one workspace.

    Limits: one message a second per channel with a burst of five, and the tiers of the methods.
    """

    name = "slack"

    def __init__(self, settings: SlackSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        message = Bucket(rate_per_s=1.0, burst=5)
        self.limits: Limits = {
            "message": message,
            "chat.update": Window(limit=50),
            "conversations.history": Window(limit=50),
            "conversations.replies": Window(limit=50),
            "conversations.list": Window(limit=20),
            "auth.test": Window(limit=100),
        }
        self._space = Workspace(self.clock)
        self._writer = Writer(self._space, self.clock, message)
        self._addresses = Addresses(settings, self._writer)
        self._sender = SlackSender()

    def clear(self) -> None:
        """One channel without messages: `C0000000001`, named `qa-alerts`."""
        self._space.clear()
        self._addresses.clear()

    def routes(self) -> Sequence[Route]:
        """Web API methods, the incoming webhook, response addresses."""
        return (
            *Messages(self._writer).routes(),
            *Conversations(self._writer).routes(),
            *self._addresses.routes(),
        )

    def levers(self) -> Sequence[Route]:
        """Channels, foreign messages, a full workspace, presses, commands, events."""
        return (
            Route("/channels", self.add_channel, methods=["POST"]),
            Route("/messages", self.add_message, methods=["POST"]),
            Route("/fill", self.fill, methods=["POST"]),
            Route("/press", self.press, methods=["POST"]),
            Route("/command", self.give_command, methods=["POST"]),
            Route("/events", self.send_event, methods=["POST"]),
            Route("/url_verification", self.verify_url, methods=["POST"]),
        )

    async def admit(self, request: Request) -> None:
        """A bearer token, or `token` in a form; other addresses are their own secret."""
        path = request.url.path
        if not path.startswith("/api/"):
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = str((await read_form(request)).get("token", ""))
        if not token:
            raise refuse("not_authed")
        if token.strip() != self.settings.key:
            raise refuse("invalid_auth")
        limit = self.limits.get(path.removeprefix("/api/"))
        if limit is not None:
            standing = limit.take("app", self.clock.seconds())
            if not standing.allowed:
                raise refuse_for_now(standing.retry_after_s)

    def refusal(self, status: int, message: str) -> Refusal:
        """Unknown methods are `unknown_method` with HTTP 200; other paths are plain text."""
        return refuse("unknown_method") if status in {404, 405} else Refusal(status, message)

    def invalid(self, error: ValidationError) -> Refusal:
        """Arguments that do not fit."""
        return refuse("invalid_arguments", messages=[str(error)])

    def state(self) -> dict[str, object]:
        """Channels, messages, answers to buttons."""
        return self._space.show()

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
        channel = self._space.find_channel(asked.channel)
        if channel is None:
            raise Refusal(404, {"error": f"no channel {asked.channel!r}"})
        message = self._writer.add(channel, Content(asked.text, [], []), via="a person")
        message.bot_id, message.user = None, asked.user
        return JSONResponse({"channel": channel.channel_id, "ts": message.ts}, 201)

    async def fill(self, request: Request) -> Response:
        """Lever: many channels and messages at once."""
        asked = Filling.model_validate_json(await request.body() or b"{}")
        for number in range(asked.channels):
            id_ = f"C1{number:09d}"
            self._space.channels[id_] = Channel(id_, f"room-{number}")
        for number in range(asked.messages):
            content = Content(f"message {number}", [], [])
            self._writer.add(
                self._space.channels[HOME.channel_id], content, via="a person"
            ).thread_ts = asked.thread_ts
        return JSONResponse(asked.model_dump(), 201)

    async def give_command(self, request: Request) -> Response:
        """Lever: somebody gives a slash command."""
        asked = Command.model_validate_json(await request.body())
        receiver, secret = self._destination(asked)
        path = self._addresses.make_response_path()
        fields = command_fields(asked, response_url=str(request.base_url.replace(path=path)))
        sent = [
            await self._sender.give_command(
                fields, receiver=receiver, secret=secret, timestamp=asked.timestamp
            )
            for _ in range(asked.repeat)
        ]
        return JSONResponse([{**one.show(), "fields": fields} for one in sent])

    async def send_event(self, request: Request) -> Response:
        """Lever: something happens that the app has subscribed to."""
        asked = Happening.model_validate_json(await request.body())
        receiver, secret = self._destination(asked)
        body = callback_body(asked, at=int(self.clock.now().timestamp()))
        sent = [
            await self._sender.send_event(
                body, number, receiver=receiver, secret=secret, timestamp=asked.timestamp
            )
            for number in range(asked.repeat)
        ]
        return JSONResponse([{**one.show(), "body": body} for one in sent])

    async def press(self, request: Request) -> Response:
        """Lever: somebody presses a button."""
        asked = Press.model_validate_json(await request.body())
        receiver, secret = self._destination(asked)
        message = self._pressed_message(asked)
        path = self._addresses.make_response_path()
        payload = press_payload(
            asked,
            self._space.channels[message.channel_id],
            message,
            response_url=str(request.base_url.replace(path=path)),
            action_ts=self._space.next_ts(),
        )
        sent = [
            await self._sender.press(
                payload, receiver=receiver, secret=secret, timestamp=asked.timestamp
            )
            for _ in range(asked.repeat)
        ]
        return JSONResponse([{**one.show(), "payload": payload} for one in sent])

    async def verify_url(self, request: Request) -> Response:
        """Lever: do the handshake of the Events API."""
        asked = Verification.model_validate_json(await request.body() or b"{}")
        receiver, secret = self._destination(asked)
        sent = await self._sender.verify(
            asked.challenge, receiver=receiver, secret=secret, timestamp=asked.timestamp
        )
        return JSONResponse({**sent.show(), "challenge": asked.challenge})

    def _pressed_message(self, asked: Press) -> Message:
        for message in reversed(self._space.messages):
            is_meant = asked.ts in {None, message.ts}
            is_there = asked.channel in {None, message.channel_id}
            if is_meant and is_there and find_pressed(asked, message) is not None:
                return message
        raise Refusal(404, {"error": f"no message has a button {asked.action_id!r}"})

    def _destination(self, asked: Signing) -> tuple[str, str]:
        receiver = asked.receiver or self.settings.receiver
        if receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        return receiver, self.settings.secret if asked.secret is None else asked.secret
