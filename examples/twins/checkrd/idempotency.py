"""Idempotency keys: 24 hours, one answer for each, 409 while the first call still runs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from examples.twins.checkrd.account import Account, refusal

Handler = Callable[[Request], Awaitable[Response]]
KEPT_S = 24 * 3600.0


@dataclass(slots=True)
class _Kept:
    """One key: what was asked, and the answer once there is one."""

    asked: tuple[str, str, bytes]
    since: float
    answer: tuple[int, bytes] | None = None


class IdempotencyKeys:
    """Answers that are given again instead of doing a thing twice."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._kept: dict[str, _Kept] = {}

    def clear(self) -> None:
        """Forget every key."""
        self._kept.clear()

    def once(self, handler: Handler) -> Handler:
        """The handler, done once for a key; a call without key is done every time."""

        async def handle(request: Request) -> Response:
            key = request.headers.get("idempotency-key", "").strip('"')
            if not key:
                return await self._work(handler, request)
            asked = (request.method, request.url.path, await request.body())
            now = self._account.clock.seconds()
            kept = self._kept.get(key)
            if kept is not None and now - kept.since < KEPT_S:
                return _again(kept, asked)
            mine = self._kept[key] = _Kept(asked, now)
            try:
                answer = await self._work(handler, request)
            except BaseException:
                # What was refused was not done: the key is free again.
                del self._kept[key]
                raise
            mine.answer = (answer.status_code, bytes(answer.body))
            return answer

        return handle

    async def _work(self, handler: Handler, request: Request) -> Response:
        await asyncio.sleep(self._account.settings.write_s)
        return await handler(request)


def _again(kept: _Kept, asked: tuple[str, str, bytes]) -> Response:
    if kept.asked != asked:
        message = "The Idempotency-Key was used for another request"
        raise refusal(422, message, "idempotency_key_reused")
    if kept.answer is None:
        message = "A request with this Idempotency-Key is still running"
        raise refusal(409, message, "idempotency_key_in_use")
    status, body = kept.answer
    return Response(body, status, media_type="application/json")
