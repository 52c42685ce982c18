"""Alert channels, and the webhooks they send (reference 2.1)."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkly import bodies
from examples.twins.checkly.account import Account, iso, refusal
from examples.twins.checkly.handlebars import render
from examples.twins.checkly.paging import numbered
from examples.twins.record import mark_effect
from examples.twins.sending import Attempt

TIMEOUT_S = 10.0
MORE_TRIES = 5
AT_ONCE = 16
FLAGS: Mapping[str, str] = {
    "ALERT_FAILURE": "sendFailure",
    "ALERT_FAILURE_REMAIN": "sendFailure",
    "ALERT_DEGRADED_FAILURE": "sendFailure",
    "ALERT_DEGRADED": "sendDegraded",
    "ALERT_DEGRADED_REMAIN": "sendDegraded",
    "ALERT_FAILURE_DEGRADED": "sendDegraded",
    "ALERT_RECOVERY": "sendRecovery",
    "ALERT_DEGRADED_RECOVERY": "sendRecovery",
    "ALERT_SSL": "sslExpiry",
}
# The template that operators are handed (reference 2.1), as somebody has pasted it.
TEMPLATE = (
    '{"source":"checkly","schema":1,"event":"check.alert","alert_type":"{{ALERT_TYPE}}",'
    '"alert_title":"{{{ALERT_TITLE}}}","check_id":"{{CHECK_ID}}","check_name":"{{{CHECK_NAME}}}",'
    '"check_type":"{{CHECK_TYPE}}","check_result_id":"{{CHECK_RESULT_ID}}",'
    '"group":"{{{GROUP_NAME}}}","location":"{{{RUN_LOCATION}}}",'
    '"response_time_ms":"{{RESPONSE_TIME}}","result_link":"{{{RESULT_LINK}}}",'
    '"started_at":"{{STARTED_AT}}","tags":[{{#each TAGS}}"{{this}}"'
    "{{#unless @last}},{{/unless}}{{/each}}]}"
)


@dataclass(frozen=True, slots=True)
class Channel:
    """One alert channel. The first takes its address and secret from the settings."""

    number: int
    asked: bodies.Channel

    def show(self) -> dict[str, object]:
        """The channel as the answers have it; its secret is not shown."""
        shown = self.asked.model_dump()
        config = dict(self.asked.config)
        if config.get("webhookSecret"):
            config["webhookSecret"] = "***"
        return {"id": self.number, **shown, "config": config, "subscriptions": []}

    def takes(self, alert_type: str) -> bool:
        """Whether its flags let this kind of alert through."""
        name = FLAGS.get(alert_type)
        return name is not None and bool(self.asked.model_dump()[name])


@dataclass(frozen=True, slots=True)
class Notification:
    """One webhook of one channel, with the tries it took."""

    notification_id: str
    channel: int
    check_id: str
    alert_id: str
    body: str
    at: datetime
    attempts: list[Attempt]

    @property
    def arrived(self) -> bool:
        """Whether the receiver took it: Checkly counts everything up to 399."""
        last = self.attempts[-1].status
        return last is not None and last <= 399

    def show(self) -> dict[str, object]:
        """The notification as the delivery log has it."""
        last = self.attempts[-1]
        return {
            "id": self.notification_id,
            "status": "SUCCESS" if self.arrived else "FAILURE",
            "alertChannelId": self.channel,
            "checkId": self.check_id,
            "checkAlertId": self.alert_id,
            "notificationResult": last.excerpt if last.error is None else last.error,
            "timestamp": iso(self.at),
            "created_at": iso(self.at),
        }


@dataclass(slots=True)
class Channels:
    """All channels, what they sent, and the calls about them."""

    account: Account
    channels: dict[int, Channel] = field(default_factory=dict)
    notifications: list[Notification] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """One webhook channel that takes everything."""
        self.notifications.clear()
        self.channels.clear()
        self._numbers = count(1)
        config: dict[str, object] = {"name": "Hookwright", "method": "POST", "template": TEMPLATE}
        self._add(bodies.Channel(type="WEBHOOK", config=config, sendDegraded=True, sslExpiry=True))

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        base = "/v1/alert-channels"
        return (
            Route(base, self.list_channels, methods=["GET"]),
            Route(base, self.create, methods=["POST"]),
            Route(f"{base}/{{id:int}}", self.show, methods=["GET"]),
            Route(f"{base}/{{id:int}}", self.replace, methods=["PUT"]),
            Route(f"{base}/{{id:int}}", self.delete, methods=["DELETE"]),
        )

    async def send(
        self, variables: Mapping[str, object], *, alert_id: str, repeat: int
    ) -> list[Notification]:
        """Tell an alert to every channel that takes it, each as often as asked, at once."""
        sent = await asyncio.gather(
            *(
                self._send(channel, variables, alert_id)
                for channel in self.channels.values()
                if channel.takes(str(variables["ALERT_TYPE"])) and self._url(channel)
                for _ in range(repeat)
            )
        )
        self.notifications.extend(sent)
        return sent

    async def list_channels(self, request: Request) -> Response:
        """A page of channels."""
        return numbered([channel.show() for channel in self.channels.values()], request)

    async def create(self, request: Request) -> Response:
        """Make a channel."""
        channel = self._add(_checked(await request.body()))
        mark_effect(request)
        return JSONResponse(channel.show(), 201)

    async def show(self, request: Request) -> Response:
        """One channel."""
        return JSONResponse(self._known(request).show())

    async def replace(self, request: Request) -> Response:
        """Give a channel other contents."""
        number = self._known(request).number
        self.channels[number] = Channel(number, _checked(await request.body()))
        mark_effect(request)
        return JSONResponse(self.channels[number].show())

    async def delete(self, request: Request) -> Response:
        """Take a channel away."""
        del self.channels[self._known(request).number]
        mark_effect(request)
        return Response(status_code=204)

    def _add(self, asked: bodies.Channel) -> Channel:
        number = next(self._numbers)
        self.channels[number] = Channel(number, asked)
        return self.channels[number]

    def _known(self, request: Request) -> Channel:
        channel = self.channels.get(request.path_params["id"])
        if channel is None:
            raise refusal(404, "Alert channel not found")
        return channel

    def _url(self, channel: Channel) -> str | None:
        url = channel.asked.config.get("url")
        return str(url) if url else self.account.settings.receiver

    async def _send(
        self, channel: Channel, variables: Mapping[str, object], alert_id: str
    ) -> Notification:
        settings, config = self.account.settings, channel.asked.config
        secret = str(config.get("webhookSecret") or ("" if config.get("url") else settings.secret))
        body = render(str(config.get("template") or ""), variables).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Checkly",
            "x-checkly-timestamp": _timestamp(settings.timestamp_unit),
        }
        if secret:
            digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            headers["x-checkly-signature"] = digest
        attempts: list[Attempt] = []
        for number in range(1 + MORE_TRIES):
            if number:
                await asyncio.sleep(settings.retry_pause_s)
            attempt = await self.account.sender.post(
                self._url(channel) or "", headers=headers, body=body, timeout_s=TIMEOUT_S
            )
            attempts.append(attempt)
            if attempt.status is not None and attempt.status <= 399:
                break
        return Notification(
            f"ntf-{alert_id}-{channel.number}-{len(self.notifications)}",
            channel.number,
            str(variables["CHECK_ID"]),
            alert_id,
            body.decode(),
            self.account.clock.now(),
            attempts,
        )


def _checked(raw: bytes) -> bodies.Channel:
    asked = bodies.Channel.model_validate_json(raw)
    if asked.type == "WEBHOOK":
        bodies.WebhookConfig.model_validate_json(json.dumps(asked.config))
    return asked


def _timestamp(unit: str) -> str:
    now = time.time()
    if unit == "iso":
        return iso(datetime.fromtimestamp(now, UTC))
    return str(int(now * 1000) if unit == "ms" else int(now))
