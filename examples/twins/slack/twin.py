"""The Slack twin put together: admission, errors, levers."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.clock import Clock
from examples.twins.ratelimit import Bucket, Limits, Window
from examples.twins.slack.addresses import Addresses
from examples.twins.slack.arguments import Content, read_form, refuse, refuse_for_now
from examples.twins.slack.buttons import Press, SlackSender, Verification, press_payload
from examples.twins.slack.messages import Messages
from examples.twins.slack.settings import SlackSettings
from examples.twins.slack.workspace import Channel, Message, Workspace
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
        return (*Messages(self._writer).routes(), *self._addresses.routes())

    def levers(self) -> Sequence[Route]:
        """Channels, foreign messages, pressed buttons, the handshake."""
        return (
            Route("/channels", self.add_channel, methods=["POST"]),
            Route("/messages", self.add_message, methods=["POST"]),
            Route("/press", self.press, methods=["POST"]),
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
            if is_meant and is_there and message.find_button(asked.action_id) is not None:
                return message
        raise Refusal(404, {"error": f"no message has a button {asked.action_id!r}"})

    def _destination(self, asked: Press | Verification) -> tuple[str, str]:
        receiver = asked.receiver or self.settings.receiver
        if receiver is None:
            raise Refusal(409, {"error": "no receiver is set (POST /_twin/settings)"})
        return receiver, self.settings.secret if asked.secret is None else asked.secret
