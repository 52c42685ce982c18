"""Sends a twin's webhooks and tells what came of each attempt."""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

EXCERPT_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: `status` is `None` when no answer came, then `error` says why."""

    status: int | None
    excerpt: str
    at: datetime
    duration_s: float
    error: str | None = None

    def show(self) -> dict[str, object]:
        """The attempt as levers show it."""
        return {"status": self.status, "body": self.excerpt, "error": self.error}

    @property
    def succeeded(self) -> bool:
        """Whether the receiver answered 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Opens a connection for each attempt, so that no receiver's idle limit is ever met."""

    def __init__(self) -> None:
        # Reading the certificates takes longer than a delivery, and so does making a client.
        self._client = httpx.AsyncClient(
            trust_env=False,
            verify=ssl.create_default_context(),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Attempt:
        """Send once. Never raises for what the receiver or the network does."""
        began, at = time.monotonic(), datetime.now(UTC)
        try:
            answer = await self._client.post(
                url, headers=dict(headers), content=body, timeout=timeout_s
            )
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            error = f"{type(fault).__name__}: {fault}"
            return Attempt(None, "", at, time.monotonic() - began, error)
        excerpt = answer.text[:EXCERPT_CHARS]
        return Attempt(answer.status_code, excerpt, at, time.monotonic() - began)

    async def post_with_retries(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        pauses_s: Sequence[float],
    ) -> list[Attempt]:
        """Send until a 2xx or a refusal; 5xx, 429 and silence are tried again after each pause."""
        attempts = [await self.post(url, headers=headers, body=body, timeout_s=timeout_s)]
        for pause_s in pauses_s:
            last = attempts[-1].status
            if last is not None and last < 500 and last != 429:
                break
            await asyncio.sleep(pause_s)
            attempts.append(await self.post(url, headers=headers, body=body, timeout_s=timeout_s))
        return attempts
