"""From the bell to the first call: deliveries are read, and the runs they start begin at once.

They begin in the worker that has read the deliveries: one run in the very transaction that makes
it, so that nothing stands between an event and what it calls; many together after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import structlog

from service.carrying_together import begin_runs
from service.db import in_short, is_outage
from service.errors import Unavailable
from service.ingest import in_portions, ingest_deliveries, ingest_together
from service.runs import LEASE, NewRun
from service.runtime import Runtime
from service.store.deliveries import lock_all
from service.unit_of_work import UnitOfWork, unit_of_work

log = structlog.get_logger(__name__)


def ingest_and_begin(runtime: Runtime, ids: Sequence[UUID]) -> None:
    """Turn these deliveries into events and carry on the runs they start.

    Safe to call twice and at the same time. Raises Unavailable.
    """
    portions = in_portions(runtime, ids)
    new: list[UUID] = []
    with runtime.holding(LEASE) as lease:
        for portion in portions:
            # What a run of the first calls is not what the others wait for.
            alone = NewRun(runtime, lease) if len(portions) == 1 else None
            new += _ingest(runtime, portion, alone)
            if runtime.stopping.is_set():
                break
    begin_runs(runtime, new)


def _ingest(runtime: Runtime, ids: Sequence[UUID], alone: NewRun | None) -> list[UUID]:
    """Read deliveries in one transaction; gives the new runs that are still to be begun."""
    others: list[UUID] = []

    def begin(work: UnitOfWork, new: Sequence[UUID]) -> None:
        if alone is None or len(new) != 1 or not alone.begin(work, new[0]):
            others.extend(new)

    try:
        ingest_together(runtime, ids, begin)
    except Unavailable as error:
        if error.perhaps_done and alone is not None:
            _await_commit(runtime, ids)
            alone.go_on(is_lost=True)
        raise
    except Exception as error:
        if is_outage(error):
            raise
        log.warning("begin_failed", deliveries=len(ids), reason=in_short(error))
        ingest_deliveries(runtime, ids)
        return []
    if alone is not None:
        alone.go_on()
    return others


def _await_commit(runtime: Runtime, ids: Sequence[UUID]) -> None:
    """Wait until a commit has ended that may still go on though its line was cut.

    It holds the deliveries; the run that it makes cannot be seen before.
    """
    with suppress(Unavailable), unit_of_work(runtime.database, runtime.queue) as work:
        lock_all(work.session, ids)
