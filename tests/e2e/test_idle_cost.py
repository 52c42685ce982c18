"""What waits costs nothing: no thread, no time of a processor, and it is woken as fast as ever."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import structlog
from sqlmodel import col, select, update

from schemas.run_tables import RunRow, WaitRow
from schemas.tables import EventRow
from schemas.workflow import RunStatus
from service.db import Database
from tests.e2e.construct_house import ConstructHouse, new_subject
from tests.e2e.waiting_runs import copy_run
from tests.servers import wait_until

WAITING = 10_000
WATCHED_S = 10.0
WINDOWS = 3
MOST_SHARE = 0.01
"""Of one processor: what 10,000 waiting runs may cost more than none. Two measurements of one and
the same idle installation differ by up to 0.006, and 0.012 on a machine under load; that the timers
read no more rows is shown by tests/integration/engine/test_idle.py."""
WOKEN_WITHIN_S = 2.0
"""The timers look twice a second; the rest is the work itself on a machine that is busy."""
VARIABLES = {
    "sleep": {"pause": "1h"},
    "concurrency-queue": {"work": "1h"},
}
log = structlog.get_logger(__name__)
TICKS = os.sysconf("SC_CLK_TCK")

pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True)
class Cost:
    """What the installation has used so far: seconds of processors, and its threads."""

    seconds: float
    threads: int


def cost(site: ConstructHouse) -> Cost:
    """Sum up its own processes, and those of PostgreSQL that work for it."""
    pids = [process.pid for process in site.house.processes.values()]
    threads = sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids)
    if site.database_url.startswith("postgresql"):
        with psycopg.connect(site.database_url) as connection:
            pids += [
                pid
                for (pid,) in connection.execute(
                    "SELECT pid FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ]
    return Cost(sum(_processor_seconds(pid) for pid in pids), threads)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def share_while_idle(site: ConstructHouse) -> tuple[float, int]:
    """Watch it for a while; gives the share of a processor it takes, and its threads."""
    before, began = cost(site), time.monotonic()
    wait_until(lambda: time.monotonic() - began > WATCHED_S, WATCHED_S + 5)
    after = cost(site)
    return (after.seconds - before.seconds) / (time.monotonic() - began), after.threads


def waiting_templates(site: ConstructHouse) -> dict[str, tuple[str, str]]:
    """Let one run of each kind come to its wait; gives subject and run by workflow.

    That which gathers comes first, as it does so for a moment only.
    """
    holder = new_subject("holder")
    site.waiting(
        site.tell("concurrency.queue", holder, environment="one"), "concurrency-queue", "sleep"
    )
    kinds = {
        "debounce": ("document.saved", "gathering", {"version": "v"}),
        "sleep": ("slept", "sleep", {"until": "2040-01-01T00:00:00Z"}),
        "wait-for": ("pull.opened", "event", {"pause": "1ms", "patience": "6h"}),
        "approval": ("risky", "approval", {}),
        "concurrency-queue": ("concurrency.queue", "queue", {"environment": "one"}),
    }
    found = {}
    for workflow, (kind, wait, data) in kinds.items():
        subject = new_subject(workflow)
        run = site.waiting(site.tell(kind, subject, **data), workflow, wait)
        found[workflow] = (subject, run["id"])
    return found


def test_ten_thousand_waiting_runs_cost_no_thread_and_no_processor_and_are_woken_at_once(
    site: ConstructHouse,
) -> None:
    templates = waiting_templates(site)
    wait_until(lambda: site.messages(templates["debounce"][0]), what="nothing gathers any more")
    without, threads_before = share_while_idle(site)
    gathering = new_subject("debounce")
    run = site.waiting(site.tell("document.saved", gathering, version="v"), "debounce", "gathering")
    templates["debounce"] = (gathering, run["id"])
    database = Database(site.database_url)
    subjects = {
        workflow: copy_run(database, UUID(run_id), subject, WAITING // len(templates))
        for workflow, (subject, run_id) in templates.items()
    }
    wait_until(lambda: site.messages(gathering), what="the template of what gathers has ended")
    with database.session(read_only=True) as session:
        waits = session.exec(select(WaitRow.run_id)).all()
    assert len(waits) >= WAITING
    # What something else on the machine costs comes and goes; what runs cost is there each time.
    windows = [share_while_idle(site)]
    while len(windows) < WINDOWS and min(windows)[0] - without >= MOST_SHARE:
        windows.append(share_while_idle(site))
    with_them, threads_after = min(windows)
    shares = f"share of a processor: {without:.4f} with none, {with_them:.4f} with {len(waits)}"
    log.info("idle_cost", shares=shares)
    assert with_them - without < MOST_SHARE, shares
    assert threads_after == threads_before

    # Any of them is woken as if it were alone: by an event, by its time, by a person.
    awaited = subjects["wait-for"][1234]
    began = time.monotonic()
    site.tell("pull.merged", awaited, by="dana")
    wait_until(lambda: site.messages(awaited) == ["merged by dana"], what="it is woken by an event")
    by_event = time.monotonic() - began
    saved = subjects["debounce"][1234]
    began = time.monotonic()
    _let_be_due(database, saved)
    wait_until(lambda: site.messages(saved) == ["1 times, last v"], what="it is woken by its time")
    by_time = time.monotonic() - began
    database.dispose()
    woken = f"woken by an event in {by_event:.2f} s, by its time in {by_time:.2f} s"
    log.info("woken", woken=woken)
    assert max(by_event, by_time) < WOKEN_WITHIN_S, woken


def _let_be_due(database: Database, subject: str) -> None:
    now = datetime.now(UTC)
    with database.session() as session:
        (run,) = session.exec(
            select(RunRow)
            .join(EventRow, col(EventRow.id) == col(RunRow.event_id))
            .where(EventRow.subject == subject, RunRow.status == RunStatus.WAITING)
        ).all()
        run.due_at = now
        session.add(run)
        session.execute(update(WaitRow).where(col(WaitRow.run_id) == run.id).values(due_at=now))
        session.commit()
