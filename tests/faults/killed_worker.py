"""A worker is killed while it performs steps: how long until each goes on, and what came of it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import col, select

from schemas.run_tables import AttemptRow, RunRow
from schemas.workflow import RunStatus
from service.db import Database
from tests.faults.house import ManyMachines
from tests.faults.plan import CHANNELS, Planned, starting
from tests.faults.sending import Load
from tests.faults.twins_record import causes
from tests.servers import wait_until

STEPS = 8
"""As many as a worker has threads: all of them are performed at once."""
NEVER_S = 300.0
WITHIN_S = 90.0
POSTED = "*/chat.postMessage"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was seen: seconds from the kill to each next try, and effects that are wrong."""

    went_on_after_s: Sequence[float]
    lost: int
    doubled: int


def go_on_after_kill(site: ManyMachines, seed: int) -> Recovered:
    """Let `work-1` perform 8 steps that take for ever, and kill it; `work-2` is to go on.

    Of half of the calls the message is posted, of the others not; nobody was answered.
    """
    slack = site.twins["slack"]
    slack.fault("slow", path=POSTED, delay_s=NEVER_S, times=STEPS // 2)
    slack.fault("drop_before", path=POSTED, delay_s=NEVER_S, times=STEPS // 2)
    sent = [
        starting(number, "tell", f"killed-{number}-{seed}", {"channel": CHANNELS[number]})
        for number in range(STEPS)
    ]
    _send(site, sent)
    slack.wait_for_calls(STEPS, path=POSTED, timeout_s=WITHIN_S)
    site.house.start("work-2")
    wait_until(
        lambda: "workers_started" in site.house.log("work-2"), WITHIN_S, what="another worker works"
    )
    killed_at = datetime.now(UTC)
    site.house.end("work-1", signal.SIGKILL)
    slack.clear_faults()
    database = Database(site.database_url())
    try:
        wait_until(lambda: _succeeded(database) == STEPS, WITHIN_S, what="every run has ended")
        went_on = _next_tries(database, killed_at)
    finally:
        database.dispose()
    done = causes({"slack": slack})
    expected = [cause for planned in sent for cause in planned.expected.effects]
    assert len(went_on) == STEPS, f"{len(went_on)} steps were tried once more"
    return Recovered(
        went_on_after_s=sorted((at - killed_at).total_seconds() for at in went_on),
        lost=sum(not done[cause] for cause in expected),
        doubled=sum(done[cause] > 1 for cause in expected),
    )


def _send(site: ManyMachines, sent: Sequence[Planned]) -> None:
    load = Load(sent, site.door_ports, per_second=100, senders=1)
    load.start()
    assert load.join().acknowledged == len(sent)


def _succeeded(database: Database) -> int:
    with database.session() as session:
        found: Any = session.exec(
            select(RunRow.id).where(RunRow.status == RunStatus.SUCCEEDED.value)
        )
        return len(list(found))


def _next_tries(database: Database, since: datetime) -> list[datetime]:
    with database.session() as session:
        return list(
            session.exec(select(AttemptRow.started_at).where(col(AttemptRow.started_at) > since))
        )
