"""A clock that moves only when told or slept, and a vendor that answers from a script."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from service.call_rates import Limiter, LocalSlots
from service.http import Timing
from service.vendors.base import Rate

START = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class FakeTime:
    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)
    chance: float = 0.5

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def timing(self) -> Timing:
        return Timing(
            now=lambda: START + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
            jitter=lambda: self.chance,
        )

    def limiter(self, calls: int, *, seconds: float = 60.0, max_wait_s: float = 2.0) -> Limiter:
        return Limiter(
            (Rate(calls, seconds),),
            (LocalSlots(lambda: self.seconds),),
            max_wait_s=max_wait_s,
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
        )


@dataclass
class Script:
    """Answers in order; the last one is repeated. An exception is raised instead."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )
