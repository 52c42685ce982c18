"""Workers whose connection is cut after a COMMIT was sent and before its answer came.

Nobody knows then whether it took place. Whatever it was that was committed, the rows are asked, and
nothing outside is done twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy.engine import make_url

from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow, EventRow
from schemas.workflow import RunStatus
from service.db import Database
from service.errors import Unavailable
from service.ingest import ingest_deliveries
from service.store.runs import ACTIVE
from tests.faults.proxy import Proxy, commits
from tests.integration.engine.installation import Installation

WORKFLOW = """
name: two-effects
on: [{event: go}]
concurrency: {key: event.subject}
steps:
  - {id: first, uses: robot.once, with: {name: first}}
  - {id: pause, sleep: 1h}
  - id: each
    for_each: '["a"]'
    as: item
    steps:
      - {id: inner, uses: robot.once, with: {name: "${{ item }}"}}
  - {id: last, uses: robot.once, with: {name: last}}
"""
MOST_COMMITS = 60


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    port = make_url(postgres_url).port
    assert port is not None
    with Proxy(port) as running:
        yield running


@pytest.fixture
def installation(postgres_url: str, proxy: Proxy) -> Iterator[Installation]:
    """An installation whose workers reach the database through the proxy."""
    through = make_url(postgres_url).set(port=proxy.port).render_as_string(hide_password=False)
    database = Database(through)
    yield Installation(database)
    database.dispose()


def the_next(number: int) -> Callable[[bytes], bool]:
    """Say yes to the COMMIT that comes after so many others."""
    left = number

    def is_it(data: bytes) -> bool:
        nonlocal left
        if not commits(data):
            return False
        left -= 1
        return left < 0

    return is_it


def try_on(act: Callable[[], object]) -> None:
    """Do it as a worker does, and again when its job is rung for again."""
    for _ in range(3):
        with suppress(Unavailable):
            act()
            return


def test_every_commit_of_a_run_is_lost_once(installation: Installation, proxy: Proxy) -> None:
    """Every other one is known to have taken place; of the rest nobody knows."""
    installation.workflow(WORKFLOW)
    for number in range(MOST_COMMITS):
        cuts = proxy.cuts
        stored = installation.deliver({"type": "go", "subject": f"s{number}"})
        proxy.cut_after(the_next(number), answered=number % 2 == 0)
        delivery, run = run_through(installation, stored)
        proxy.restore()
        called = Counter(call.idempotency_key for call in installation.script.calls)
        installation.script.calls.clear()
        assert (run.status, sorted(called.values())) == (RunStatus.SUCCEEDED, [1] * 3), number
        assert delivery.state == DeliveryState.INGESTED
        assert len(installation.rows(EventRow, EventRow.delivery_id == delivery.id)) == 1
        if proxy.cuts == cuts:  # there were no more commits than that
            assert number > 5
            return
    pytest.fail("a run has more commits than were lost")


def run_through(installation: Installation, stored: UUID) -> tuple[DeliveryRow, RunRow]:
    """Carry what a delivery starts on to its end."""
    try_on(lambda: ingest_deliveries(installation.runtime, [stored]))
    (event,) = installation.rows(EventRow, EventRow.delivery_id == stored)
    run = installation.rows(RunRow, RunRow.event_id == event.id)[0]
    for _ in range(30):
        try_on(installation.carry_on)
        run = installation.run(run.id)
        if run.status not in ACTIVE:
            break
    (delivery,) = installation.rows(DeliveryRow, DeliveryRow.id == stored)
    return delivery, run
