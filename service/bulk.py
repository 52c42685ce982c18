"""One thing done to everything that a filter finds: in the background, at a rate, each once.

What is done to a row, and that it was done, is one transaction. So whoever goes on after a crash
goes on behind it, and nothing is done twice or left out. The filter is frozen when it is asked for:
what comes later is not taken. One worker at a time performs a job (its lease), and when the next
row may be begun stands in the job's own row, so that the rate holds whoever goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.bulk import (
    BulkFailure,
    BulkKind,
    BulkPosition,
    BulkState,
    ReplayManyRequest,
    RetryManyRequest,
)
from schemas.jobs import PerformBulk
from schemas.states import DeliveryState
from schemas.storable import storable
from schemas.upkeep_tables import BulkJobRow
from service import audit
from service.db import Database, in_short, is_outage
from service.errors import Conflict, HookwrightError, Invalid, NotFound, Unavailable
from service.faults import note_fault
from service.losses import MOST_LOSSES, said_of
from service.queue import Queue
from service.replay import KEY_KEPT, key_of, replay_in
from service.retrying import retry_in
from service.runtime import Runtime
from service.starting import Hand
from service.store import bulk_jobs as store
from service.store import deliveries, doubts, leased, starts
from service.tokens import Caller
from service.unit_of_work import UnitOfWork, reading, unit_of_work

log = structlog.get_logger(__name__)

GO_ON_FOR_S = 30.0
"""After this long another job goes on, so that much work in bulk does not keep a worker."""
LONGEST_WAIT = timedelta(seconds=1)
"""When the next row may be begun only later than this, the worker is given back meanwhile."""
AT_ONCE = 200
MOST_FAILURES = 20
"""So many failures are told one by one."""
MOST_REASON = 500

Request = ReplayManyRequest | RetryManyRequest


class NotAnyMore(HookwrightError):  # noqa: N818
    """It is not in the state that was asked for any more: somebody else has seen to it."""


def count(database: Database, request: Request, *, now: datetime) -> int:
    """Give how many rows a request would take now."""
    with reading(database) as session:
        return store.count(session, _frozen(request, now))


def ask_in_bulk(
    database: Database,
    queue: Queue,
    request: Request,
    *,
    caller: Caller,
    key: str | None,
    now: datetime,
) -> BulkJobRow:
    """Write down what is to be done to everything that a filter finds, and ring for it.

    `key` is the same whenever the same work is asked for again, which gives the same job. Raises
    NotFound for a workflow there is not, Invalid when the key was used for other work.
    """
    kind = kind_of(request)
    asked = request.model_dump(mode="json", exclude={"per_second", "dry_run"}, exclude_none=True)
    frozen = _frozen(request, now)
    with reading(database) as session:
        total = store.count(session, frozen)
    with unit_of_work(database, queue) as work:
        if isinstance(request, ReplayManyRequest) and request.only is not None:
            starts.check_workflow(work.session, request.only)
        row = BulkJobRow(
            kind=kind,
            question={**asked, "until": str(frozen.until)},
            per_second=request.per_second,
            state=BulkState.PENDING,
            by=caller.label,
            key=key_of(caller, key),
            total=total,
            created_at=now,
            due_at=now,
        )
        job = store.store_once(work.session, row, forgotten=now - KEY_KEPT)
        if job.id == row.id:
            details = {"question": job.question, "per_second": job.per_second}
            audit.record(
                work.session, caller, f"bulk.{kind}", str(job.id), now=now, details=details
            )
        elif (job.kind, _without_until(job)) != (kind, asked):
            raise Invalid("this Idempotency-Key was sent with another question")
        work.ring(PerformBulk(job.id))
    log.info(
        "bulk_job_asked", bulk_job_id=str(job.id), kind=kind, total=job.total, who=caller.label
    )
    return job


def cancel_bulk(
    database: Database, queue: Queue, job_id: UUID, *, caller: Caller, now: datetime
) -> BulkJobRow:
    """End work in bulk before its next row; what was done stays done, once is enough.

    Raises NotFound, and Conflict when it has ended otherwise.
    """
    with unit_of_work(database, queue) as work:
        row = store.locked(work.session, job_id)
        if row is None:
            raise NotFound("there is no work in bulk with this id")
        if row.state == BulkState.CANCELLED:
            return row
        if row.ended_at is not None:
            raise Conflict(f"it has ended: {row.state}")
        _end(row, BulkState.CANCELLED, now)
        audit.record(
            work.session, caller, "bulk.cancel", str(job_id), now=now, details={"done": row.done}
        )
    log.info("bulk_job_cancelled", bulk_job_id=str(job_id), who=caller.label, done=row.done)
    return row


def perform_bulk(
    runtime: Runtime, job_id: UUID, *, wait: Callable[[float], object] | None = None
) -> None:
    """Go on with work in bulk for a while. Safe to run twice and at the same time.

    `wait` lets so many seconds pass (by default: or until this process shall stop). Raises
    Unavailable.
    """
    with runtime.holding(leased.LEASE) as owner:
        taken = _take(runtime, job_id, owner)
        if taken is not None:
            _go_on(runtime, taken, wait or runtime.stopping.wait)


@dataclass(slots=True)
class _Taken:
    """A job that was taken: what is done to each row, and the ids that were looked up already."""

    id: UUID
    owner: str
    wanted: store.Filter
    perform: Perform
    interval: timedelta
    next_at: datetime
    passing_over: bool
    after: UUID | None
    ids: deque[UUID] = field(default_factory=deque)


Perform = Callable[[UnitOfWork, UUID], BulkFailure | None]
"""Does it to one row. Gives what hindered it when that is noted there; else raises it."""


def _take(runtime: Runtime, job_id: UUID, owner: str) -> _Taken | None:
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        row = leased.claim(work.session, BulkJobRow, job_id, owner=owner, now=now, ttl=leased.LEASE)
        if row is None:
            return None
        row.state = BulkState.RUNNING
        row.started_at = row.started_at or now
        try:
            request = _request(row)
        except ValidationError as error:
            row.error = f"this version does not understand what was asked for: {error}"
            _end(row, BulkState.FAILED, now)
            return None
        return _Taken(
            id=row.id,
            owner=owner,
            wanted=request.filter,
            perform=_doing(runtime, row, request),
            interval=timedelta(seconds=1 / row.per_second),
            next_at=_position(row).next_at or now,
            passing_over=row.losses > MOST_LOSSES,
            after=_position(row).after,
        )


def _go_on(runtime: Runtime, taken: _Taken, wait: Callable[[float], object]) -> None:
    end = runtime.monotonic() + GO_ON_FOR_S
    while True:
        now = runtime.clock()
        # A clock that was set back must not let the job wait for ever.
        taken.next_at = min(taken.next_at, now + taken.interval)
        pause = taken.next_at - now
        if pause > LONGEST_WAIT or runtime.stopping.is_set() or runtime.monotonic() > end:
            _leave(runtime, taken)
            return
        if pause > timedelta():
            wait(pause.total_seconds())
            continue
        if not _next(runtime, taken):
            return


def _next(runtime: Runtime, taken: _Taken) -> bool:
    """Do it to the next row and note that it was done. False: the job has ended, or was taken."""
    if not taken.ids:
        # To look through many rows must not keep what others want to write.
        with reading(runtime.database) as session:
            found = store.next_ids(session, taken.wanted, after=taken.after, limit=AT_ONCE)
        taken.ids.extend(found)
    with unit_of_work(runtime.database, runtime.queue) as work:
        now = runtime.clock()
        row = leased.held(work.session, BulkJobRow, taken.id, taken.owner)
        if row is None:
            return False
        if not taken.ids:
            # What was seen to by others in the meantime is not found any more.
            row.skipped = max(row.skipped, row.total - row.done - row.failed)
            _end(row, BulkState.FAILED if row.failed else BulkState.SUCCEEDED, now)
            _tell_of_end(row)
            return False
        ident = taken.after = taken.ids.popleft()
        failures = _position(row).failures
        failure = _attempt(work, row, taken, ident)
        if failure is not None:
            row.failed += 1
            row.error = row.error or failure.reason
            failures = (*failures, failure)[:MOST_FAILURES]
        row.total = max(row.total, row.done + row.skipped + row.failed)
        # A job that is late does not make up for it all at once.
        taken.next_at = max(taken.next_at + taken.interval, now)
        taken.passing_over = False
        after = BulkPosition(after=ident, next_at=taken.next_at, failures=failures)
        row.position = after.model_dump(mode="json")
        row.losses = 0
        return True


def _attempt(work: UnitOfWork, row: BulkJobRow, taken: _Taken, ident: UUID) -> BulkFailure | None:
    """Do it to one row and count it; gives what hindered it, with nothing of it done."""
    if taken.passing_over:
        return BulkFailure(id=ident, reason=said_of(row.losses))
    rung = len(work.jobs)
    try:
        with work.session.begin_nested():
            failure = taken.perform(work, ident)
    except Unavailable:
        raise
    except NotAnyMore:
        row.skipped += 1
        return None
    except HookwrightError as error:
        failure = BulkFailure(id=ident, reason=storable(error.message)[:MOST_REASON])
    except Exception as error:
        if is_outage(error):
            raise
        # The outermost frame around one row: it must not stop the others.
        fault = note_fault(error, "bulk_row_failed", bulk_job_id=str(row.id), row_id=str(ident))
        reason = storable(in_short(error))[:MOST_REASON]
        failure = BulkFailure(id=ident, reason=reason, fault=fault)
    else:
        row.done += failure is None
        return failure
    del work.jobs[rung:]
    return failure


def _doing(runtime: Runtime, row: BulkJobRow, request: Request) -> Perform:
    """Give what is done to each row."""
    if isinstance(request, RetryManyRequest):
        return lambda work, ident: _retry(runtime, work, ident, request)
    hand = Hand(row.by, row.id, shadow=request.shadow)
    return lambda work, ident: _replay(runtime, work, ident, request, hand)


def _replay(
    runtime: Runtime, work: UnitOfWork, ident: UUID, request: ReplayManyRequest, hand: Hand
) -> BulkFailure | None:
    row = deliveries.lock_one(work.session, ident)
    if row is None or row.state not in request.filter.state:
        raise NotAnyMore
    found = replay_in(runtime, work, row, hand, only=request.only)
    if found.error is None or found.state == DeliveryState.RECEIVED:
        return None
    return BulkFailure(id=ident, reason=found.error[:MOST_REASON], fault=found.fault)


def _retry(
    runtime: Runtime, work: UnitOfWork, ident: UUID, request: RetryManyRequest
) -> BulkFailure | None:
    run = doubts.lock_run(work.session, ident)
    if run is None or run.status not in request.filter.status:
        raise NotAnyMore
    retry_in(work, run, runtime.clock())
    return None


def _frozen(request: Request, now: datetime) -> store.Filter:
    """Give the filter that takes nothing which comes from now on."""
    return request.filter.model_copy(update={"until": min(request.filter.until or now, now)})


def kind_of(request: Request) -> BulkKind:
    """Give what a request asks to be done."""
    is_replay = isinstance(request, ReplayManyRequest)
    return BulkKind.REPLAY_DELIVERIES if is_replay else BulkKind.RETRY_RUNS


def _request(row: BulkJobRow) -> Request:
    """Give the request again, with its filter as it was frozen. Raises ValidationError."""
    asked = dict(row.question)
    wanted = {**asked.pop("filter"), "until": asked.pop("until")}
    model = ReplayManyRequest if row.kind == BulkKind.REPLAY_DELIVERIES else RetryManyRequest
    return model.model_validate({**asked, "filter": wanted})


def _position(row: BulkJobRow) -> BulkPosition:
    return BulkPosition.model_validate(row.position or {})


def _without_until(row: BulkJobRow) -> dict[str, Any]:
    return {name: value for name, value in row.question.items() if name != "until"}


def _leave(runtime: Runtime, taken: _Taken) -> None:
    """Give the job back until its next row may be begun."""
    with unit_of_work(runtime.database, runtime.queue) as work:
        row = leased.held(work.session, BulkJobRow, taken.id, taken.owner)
        if row is None:
            return
        now = runtime.clock()
        position = _position(row).model_copy(update={"next_at": taken.next_at})
        row.position = position.model_dump(mode="json")
        row.due_at = max(taken.next_at, now)
        row.lease_owner = row.lease_until = None
        if row.due_at <= now:
            work.ring(PerformBulk(taken.id))


def _end(row: BulkJobRow, state: BulkState, now: datetime) -> None:
    row.state = state
    row.ended_at = now
    row.due_at = None
    row.lease_owner = row.lease_until = None


def _tell_of_end(row: BulkJobRow) -> None:
    tell = log.warning if row.failed else log.info
    tell(
        "bulk_job_ended",
        bulk_job_id=str(row.id),
        kind=row.kind,
        done=row.done,
        skipped=row.skipped,
        failed=row.failed,
        error=row.error,
    )
