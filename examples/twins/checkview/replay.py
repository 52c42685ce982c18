"""Answers kept by `Idempotency-Key`: the same key gives the same answer for 60 minutes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from examples.twins.clock import Clock

KEPT_S = 3600.0
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class AnswerCache:
    """Keeps what changing calls were answered.

    Whether the body of the second call is compared is not published; here it is not.
    """

    clock: Clock
    _kept: dict[tuple[str, str, str], tuple[float, int, bytes, str]] = field(default_factory=dict)

    def once(self, handler: Handler) -> Handler:
        """The handler, done once for each key; a call without a key is always done."""

        async def answer(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if key is None:
                return await handler(request)
            place = (request.method, request.url.path, key.strip('"'))
            now = self.clock.seconds()
            kept = self._kept.get(place)
            if kept is not None and now - kept[0] < KEPT_S:
                _, status, body, kind = kept
                return Response(body, status, media_type=kind)
            made = await handler(request)
            kind = made.headers["content-type"]
            self._kept[place] = (now, made.status_code, bytes(made.body), kind)
            return made

        return answer

    def clear(self) -> None:
        """Forget every answer."""
        self._kept.clear()
