"""Two worker processes with one credential: together they keep to what the vendor allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.twins.launch import TwinProcess
from tests.e2e.house import House
from tests.twin_forks import start_twin

WANTED = 60
"""More than one worker takes for itself at once: both have some to do."""
AT_ONCE, WINDOW_S = 5, 5.0
"""How many messages one credential of Slack posts in how many seconds (service/vendors/slack)."""
WINDOWS = 3
POSTED = "*/chat.postMessage"
WORKFLOW = """
name: tell
on: [{event: build.asked}]
steps:
  - id: told
    uses: slack.message
    with: {text: built}
"""


@pytest.fixture
def twin() -> Iterator[TwinProcess]:
    with start_twin("slack") as process:
        # The twin refuses none: its record shows what was sent.
        process.limit("message", rate_per_s=10_000, burst=10_000)
        yield process


@pytest.fixture
def houses(
    tmp_path: Path,
    twin: TwinProcess,
    empty_postgres_url: str,
    redis_url: str,
    redis_namespace: str,
) -> Iterator[list[House]]:
    """A receiver with one worker, and a second worker beside it."""
    environment = {
        "HOOKWRIGHT_DATABASE_URL": empty_postgres_url,
        "HOOKWRIGHT_REDIS_URL": redis_url,
        "HOOKWRIGHT_REDIS_NAMESPACE": redis_namespace,
        "HOOKWRIGHT_SECRET_KEYS": "k" * 40,
    }
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        (folder / "tell.yaml").write_text(WORKFLOW)
        (folder / "hookwright.yaml").write_text(json.dumps(configuration(twin)))
    # The installed program serves and works; that the other worker is a fork costs less.
    houses = [House(folders[0], environment, installed=True), House(folders[1], environment)]
    one, other = houses
    try:
        one.run("migrate")
        one.run("apply", "-f", "hookwright.yaml")
        one.start("serve")
        one.start("work")
        other.start("work")
        one.wait_ready()
        yield houses
    finally:
        for house in houses:
            for name in list(house.processes):
                house.kill(name)


def configuration(twin: TwinProcess) -> dict[str, Any]:
    return {
        "sources": [
            {
                "name": "build",
                "vendor": "generic",
                "secrets": [{"value": "a-build-token"}],
                "options": {"scheme": "bearer-token", "events": {"asked": "build.asked"}},
                "limits": {"per_second": 5000, "burst": 5000},
            }
        ],
        "connections": [
            {
                "name": "slack",
                "vendor": "slack",
                "base_url": f"{twin.url}/api",
                "credentials": {"bot_token": {"value": "xoxb-twin"}},
                "options": {"channel": "#qa-alerts"},
            }
        ],
        "workflows": ["tell.yaml"],
    }


def ask(house: House, number: int) -> None:
    with httpx.Client(headers={"Authorization": "Bearer a-build-token"}) as client:
        for at in range(number):
            body = {"id": f"build-{at}", "type": "asked"}
            assert client.post(f"{house.url}/hooks/build", json=body).status_code == 202


def arrivals(twin: TwinProcess) -> list[float]:
    """When each message arrived, in seconds."""
    calls = twin.calls(path=POSTED)
    return sorted(datetime.fromisoformat(str(call["at"])).timestamp() for call in calls)


def most_within(times: list[float], seconds: float) -> int:
    """The most calls in any stretch of so many seconds, both its ends included."""
    return max(
        sum(start <= other <= start + seconds for other in times[at:])
        for at, start in enumerate(times)
    )


def test_never_more_than_five_messages_in_any_five_seconds(
    houses: list[House], twin: TwinProcess
) -> None:
    ask(houses[0], WANTED)
    twin.wait_for_calls(AT_ONCE * WINDOWS + 1, path=POSTED, timeout_s=90)
    times = arrivals(twin)
    assert most_within(times, WINDOW_S) == AT_ONCE
    assert times[AT_ONCE * WINDOWS] - times[0] > WINDOW_S * WINDOWS
