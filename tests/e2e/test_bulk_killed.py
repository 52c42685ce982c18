"""A process that is killed in the middle of work in bulk leaves no row out and does none twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import select

from schemas.clock import utc_now
from schemas.configured_tables import SourceRow
from schemas.run_tables import RunRow
from schemas.tables import DeliveryRow
from service.db import Database
from tests.e2e.construct_house import GENERIC_SECRET
from tests.e2e.house import ADMIN_TOKEN, END_S, House
from tests.servers import NO_AUTHORITIES, wait_until

MANY = 60
PER_SECOND = 40
CONFIGURATION = {
    "sources": [{"name": "generic", "vendor": "generic", "secrets": [{"value": GENERIC_SECRET}]}],
    "workflows": ["work.yaml"],
}
WORKFLOW = """
name: work
on: [{event: generic.build.failed}]
steps:
  - id: note
    uses: alert.open
    with: {key: "${{ event.id }}", title: noted}
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "hookwright.yaml").write_text(json.dumps(CONFIGURATION))
    (tmp_path / "work.yaml").write_text(WORKFLOW)
    house = House(tmp_path, {})
    house.start("up")
    house.wait_ready()
    yield house
    for name in list(house.processes):
        house.kill(name)


def store_dead_deliveries(database: Database) -> None:
    with database.session() as session:
        source = session.exec(select(SourceRow)).one()
        session.add_all(
            DeliveryRow(
                source_id=source.id,
                source=source.name,
                vendor=source.vendor,
                delivery_key=str(uuid4()),
                received_at=utc_now(),
                headers=[],
                body=b'{"type": "build.failed"}',
                state="dead",
                error="it broke",
                failures=5,
            )
            for _ in range(MANY)
        )
        session.commit()


def test_a_bulk_replay_that_is_killed_goes_on_where_it_was(house: House) -> None:
    database = Database(f"sqlite:///{house.directory / 'data' / 'hookwright.db'}")
    store_dead_deliveries(database)
    answer = httpx.post(
        f"{house.url}/api/v1/deliveries/replay",
        json={"filter": {"state": "dead"}, "per_second": PER_SECOND},
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
        timeout=30,
        verify=NO_AUTHORITIES,
    )
    job = answer.json()["id"]

    def has_done(least: int) -> bool:
        return bool(house.get(f"/bulk-jobs/{job}")["done"] >= least)

    for least in (MANY // 4, MANY // 2):
        wait_until(partial(has_done, least), END_S, what=f"{least} are done")
        house.kill("up")
        house.start("up")
        house.wait_ready()
    wait_until(lambda: house.get(f"/bulk-jobs/{job}")["ended_at"], END_S, what="the job has ended")
    found = house.get(f"/bulk-jobs/{job}")
    assert (found["state"], found["done"], found["skipped"], found["failed"]) == (
        "succeeded",
        MANY,
        0,
        0,
    )
    with database.session(read_only=True) as session:
        runs = session.exec(select(RunRow)).all()
        deliveries = session.exec(select(DeliveryRow)).all()
    database.dispose()
    assert {(row.state, row.replays) for row in deliveries} == {("ingested", 1)}
    assert len({run.event_id for run in runs}) == len(runs) == MANY
    assert {(run.replay, run.started_by, run.bulk_job_id) for run in runs} == {
        (0, "environment", UUID(job))
    }
