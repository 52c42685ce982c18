"""What a vendor had to tell and we never got: compared with its record, and had after all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlmodel import col, func, select

from examples.twins.launch import TwinProcess
from schemas.tables import EventRow
from service.db import Database
from tests.e2e.house import House
from tests.servers import wait_until
from tests.twin_forks import start_twin

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


@dataclass
class Accounts:
    """An installation with one source and one connection for each vendor, and their twins."""

    house: House
    twins: dict[str, TwinProcess]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    directory = tmp_path_factory.mktemp("accounts")
    with ExitStack() as stack:
        twins = {case.vendor: stack.enter_context(start_twin(case.vendor)) for case in CASES}
        configuration = {
            "sources": [_source(case) for case in CASES],
            "connections": [_connection(case, twins[case.vendor]) for case in CASES],
        }
        (directory / "hookwright.yaml").write_text(json.dumps(configuration))
        yield Accounts(stack.enter_context(House(directory, {}).running()), twins)


def _source(case: Case) -> dict[str, Any]:
    source: dict[str, Any] = {
        "name": case.vendor,
        "vendor": case.vendor,
        "connection": case.vendor,
        "limits": {"per_second": 5000, "burst": 5000},
    }
    if case.secret:
        source["secrets"] = [{"value": case.secret}]
    else:
        source["path_token"] = {"value": PATH_TOKEN}
    if case.records:
        source["reconcile"] = {"records": case.records}
    return source


def _connection(case: Case, twin: TwinProcess) -> dict[str, Any]:
    return {
        "name": case.vendor,
        "vendor": case.vendor,
        "base_url": twin.url,
        "credentials": {name: {"value": value} for name, value in case.credentials.items()},
        "options": case.options,
    }


def count_of_events(house: House, case: Case) -> int:
    """Ask the database, which is asked again and again: the API gives a hundred at a time."""
    database = Database(house.database_url)
    with database.session(read_only=True) as session:
        where = col(EventRow.source) == case.vendor
        count = session.exec(select(func.count()).select_from(EventRow).where(where)).one()
    database.dispose()
    return count


def all_events(house: House, case: Case) -> list[dict[str, Any]]:
    return _all(house, "/events", type=case.events, source=case.vendor)


def _all(house: House, path: str, **filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = house.get(path, limit=100, **filters, **({"cursor": cursor} if cursor else {}))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.timeout(500)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.vendor)
def test_after_one_pass_none_is_missing_and_none_is_doubled(accounts: Accounts, case: Case) -> None:
    house, twin = accounts.house, accounts.twins[case.vendor]
    token = "" if case.secret else f"/{PATH_TOKEN}"
    twin.set(receiver=f"{house.url}/hooks/{case.vendor}{token}")
    if case.limit:
        twin.limit(case.limit, limit=100_000)
    lever, body = case.happen
    subjects = case.subjects(twin.lever(lever, body))
    assert len(subjects) == len(set(subjects)) == case.facts

    def arrived() -> bool:
        return count_of_events(house, case) >= case.facts - case.withheld

    wait_until(arrived, ARRIVE_S, what="what was sent has come")
    assert len(all_events(house, case)) == case.facts - case.withheld

    report = json.loads(
        house.run("reconcile", "--source", case.vendor, "--json", timeout_s=COMPARE_S)
    )
    (row,) = report["data"]
    assert (row["state"], row["error"]) == ("succeeded", None)
    assert (row["missing"], row["filled"], row["unfilled"]) == (case.withheld, case.withheld, 0)
    assert row["asked"] == (case.withheld if case.asks_again else 0)
    assert row["checked"] == case.facts

    def whole() -> bool:
        return count_of_events(house, case) >= case.facts

    # What was sent again becomes an event a moment after it has come.
    wait_until(whole, 10, what="every fact is an event")
    events = all_events(house, case)
    assert len(events) == case.facts
    assert len({event["id"] for event in events}) == case.facts
    reconciled = [event for event in events if event["origin"] == "reconciled"]
    assert len(reconciled) == (0 if case.asks_again else case.withheld)
    if case.asks_again and case.vendor == "github":
        deliveries = _all(house, "/deliveries", source=case.vendor)
        keys_here = {row["delivery_key"] for row in deliveries}
        assert keys_here == set(subjects)
    elif case.vendor in {"vibeview", "checkview"}:
        assert {event["subject"] for event in events} == set(subjects)

    again = json.loads(
        house.run("reconcile", "--source", case.vendor, "--json", timeout_s=COMPARE_S)
    )["data"][0]
    assert (again["checked"] >= case.facts, again["missing"]) == (True, 0)
    assert len(all_events(house, case)) == case.facts
