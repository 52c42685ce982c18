"""What a vendor had to tell and we never got: compared with its record, and had after all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from examples.twins.launch import TwinProcess, start_twin
from tests.e2e.house import House
from tests.servers import wait_until

FACTS, WITHHELD = 1000, 50
FEW, FEW_WITHHELD = 100, 5
PATH_TOKEN = "a-path-token-that-nobody-can-guess-0123456789"
ARRIVE_S = 90.0
COMPARE_S = 240.0


@dataclass
class Case:
    """One vendor: how it is connected, how things happen there, and what they are called here.

    `happen` is a lever and its body; `subjects` reads from the lever's answer what the thousand
    events must be about.
    """

    vendor: str
    credentials: dict[str, str]
    happen: tuple[str, dict[str, Any]]
    subjects: Callable[[Any], list[str]]
    events: str
    secret: str = ""
    records: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    limit: str = ""
    asks_again: bool = False
    facts: int = FACTS
    withheld: int = WITHHELD


def keys(name: str) -> Callable[[Any], list[str]]:
    return lambda told: [str(one[name]) for one in told]


CASES = (
    Case(
        "vibeview",
        {"api_token": "tok_demo"},
        ("happen", {"count": FACTS, "withheld": WITHHELD}),
        keys("run_id"),
        "test_run.failed",
        secret="vibeview-webhook-secret",
        records={"deliveries": {"webhook_id": "1"}},
        options={"per_minute": 6000},
        limit="api",
        asks_again=True,
    ),
    Case(
        "github",
        {"token": "ghp_twin"},
        ("happen", {"count": FACTS, "withheld": WITHHELD}),
        lambda told: [*told["sent"], *told["withheld"]],
        "issues.opened",
        secret="github-webhook-secret",
        asks_again=True,
    ),
    Case(
        "checkly",
        {"api_key": "checkly-key", "account_id": "4e1a7c52-90b3-4d68-8f21-6ab5c0d9e374"},
        ("alerts", {"count": FEW, "withheld": FEW_WITHHELD, "every_s": 1.0}),
        keys("id"),
        "check.*",
        secret="checkly-webhook-secret",
        facts=FEW,
        withheld=FEW_WITHHELD,
    ),
    Case(
        "checkview",
        {"api_token": "cvpat_demo"},
        ("runs", {"count": FEW, "withheld": FEW_WITHHELD, "ends_in_s": -1, "every_s": 0.5}),
        keys("id"),
        "test_run.*",
        facts=FEW,
        withheld=FEW_WITHHELD,
        options={"per_minute": 60_000},
        limit="api",
    ),
    Case(
        "checkrd",
        {"jwt": "jwt_twin"},
        ("history", {"count": FEW, "withhold_every": FEW // FEW_WITHHELD, "spacing_s": 1.0}),
        lambda told: list(told["created"]),
        "agent_alert.*",
        secret="checkrd-webhook-secret",
        facts=FEW,
        withheld=FEW_WITHHELD,
    ),
)


def connect(directory: Path, case: Case, twin: TwinProcess) -> House:
    """Start an installation whose one source and connection are this vendor's."""
    source: dict[str, Any] = {
        "name": case.vendor,
        "vendor": case.vendor,
        "limits": {"per_second": 5000, "burst": 5000},
    }
    if case.secret:
        source["secrets"] = [{"value": case.secret}]
    else:
        source["path_token"] = {"value": PATH_TOKEN}
    if case.records:
        source["reconcile"] = {"records": case.records}
    connection = {
        "name": "account",
        "vendor": case.vendor,
        "base_url": twin.url,
        "credentials": {name: {"value": value} for name, value in case.credentials.items()},
        "options": case.options,
    }
    configuration = {"sources": [source], "connections": [connection]}
    (directory / "hookwright.yaml").write_text(json.dumps(configuration))
    house = House(directory, {})
    house.start("up")
    house.wait_ready()
    return house


def all_events(house: House, **filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = house.get("/events", limit=100, **filters, **({"cursor": cursor} if cursor else {}))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.timeout(500)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.vendor)
def test_after_one_pass_none_is_missing_and_none_is_doubled(tmp_path: Path, case: Case) -> None:
    with start_twin(case.vendor) as twin:
        house = connect(tmp_path, case, twin)
        try:
            _compare(house, case, twin)
        finally:
            house.stop()


def _compare(house: House, case: Case, twin: TwinProcess) -> None:
    token = "" if case.secret else f"/{PATH_TOKEN}"
    twin.set(receiver=f"{house.url}/hooks/{case.vendor}{token}")
    if case.limit:
        twin.limit(case.limit, limit=100_000)
    lever, body = case.happen
    subjects = case.subjects(twin.lever(lever, body))
    assert len(subjects) == len(set(subjects)) == case.facts

    def arrived() -> list[dict[str, Any]]:
        events = all_events(house, type=case.events)
        return events if len(events) >= case.facts - case.withheld else []

    before = wait_until(arrived, ARRIVE_S, what="what was sent has come")
    assert len(before) == case.facts - case.withheld

    report = json.loads(
        house.run("reconcile", "--source", case.vendor, "--json", timeout_s=COMPARE_S)
    )
    (row,) = report["data"]
    assert (row["state"], row["error"]) == ("succeeded", None)
    assert (row["missing"], row["filled"], row["unfilled"]) == (case.withheld, case.withheld, 0)
    assert row["asked"] == (case.withheld if case.asks_again else 0)
    assert row["checked"] == case.facts

    def whole() -> bool:
        return len(all_events(house, type=case.events)) >= case.facts

    # What was sent again becomes an event a moment after it has come.
    wait_until(whole, 10, what="every fact is an event")
    events = all_events(house, type=case.events)
    assert len(events) == case.facts
    assert len({event["id"] for event in events}) == case.facts
    reconciled = [event for event in events if event["origin"] == "reconciled"]
    assert len(reconciled) == (0 if case.asks_again else case.withheld)
    if case.asks_again and case.vendor == "github":
        keys_here = {row["delivery_key"] for row in _deliveries(house)}
        assert keys_here == set(subjects)
    elif case.vendor in {"vibeview", "checkview"}:
        assert {event["subject"] for event in events} == set(subjects)

    again = json.loads(house.run("reconcile", "--json", timeout_s=COMPARE_S))["data"][0]
    assert (again["checked"] >= case.facts, again["missing"]) == (True, 0)
    assert len(all_events(house, type=case.events)) == case.facts


def _deliveries(house: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = house.get("/deliveries", limit=100, **({"cursor": cursor} if cursor else {}))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
