"""A client over a scripted vendor."""

from collections.abc import Callable

import httpx
import pytest

from service.http import VendorHttp
from tests.unit.http.scripted import FakeTime, Script

Client = Callable[..., tuple[VendorHttp, Script]]


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(fake_time: FakeTime) -> Client:
    def make(*answers: httpx.Response | Exception, **more: object) -> tuple[VendorHttp, Script]:
        script = Script(list(answers))
        settings: dict[str, object] = {
            "base_url": "https://api.example.com/base",
            "headers": {"Authorization": "Bearer very-secret-value"},
            "timing": fake_time.timing(),
            "transport": httpx.MockTransport(script),
            **more,
        }
        return VendorHttp(**settings), script  # type: ignore[arg-type]  # tests choose any of them

    return make
