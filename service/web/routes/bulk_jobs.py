"""`/api/v1/bulk-jobs`, and asking for work in bulk: replays of deliveries, retries of runs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from schemas import api
from schemas.bulk import (
    BulkCount,
    BulkJobOut,
    BulkQuestion,
    ReplayManyRequest,
    RetryManyRequest,
)
from schemas.upkeep_tables import BulkJobRow
from service import bulk
from service.store import bulk_jobs as store
from service.store import details
from service.tokens import Caller
from service.web import described, shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Parts, Reading

router = APIRouter()

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="The same key with the same question gives the same job.",
    ),
]


@router.post("/deliveries/replay", status_code=HTTPStatus.ACCEPTED, tags=["deliveries"])
def replay_deliveries(
    response: Response,
    parts: AnyParts,
    caller: Operator,
    request: ReplayManyRequest,
    idempotency_key: Key = None,
) -> BulkJobOut | BulkCount:
    """Read anew all deliveries that a filter finds, in the background. Needs the role operator.

    The filter names their state. What comes later is not taken. 202 with the job; 200 with their
    number in a dry run.
    """
    return _ask(response, parts, caller, request, idempotency_key)


@router.post("/runs/retry", status_code=HTTPStatus.ACCEPTED, tags=["runs"])
def retry_runs(
    response: Response,
    parts: AnyParts,
    caller: Operator,
    request: RetryManyRequest,
    idempotency_key: Key = None,
) -> BulkJobOut | BulkCount:
    """Let all runs that a filter finds go on, in the background. Needs the role operator.

    The filter names their state. What begins later is not taken. 202 with the job; 200 with their
    number in a dry run.
    """
    return _ask(response, parts, caller, request, idempotency_key)


@router.get("/bulk-jobs", tags=["bulk-jobs"])
def list_bulk_jobs(
    session: Reading, question: Annotated[BulkQuestion, Query()]
) -> api.Page[BulkJobOut]:
    """List work in bulk, newest first."""
    return shapes.page(store.list_jobs(session, question), shapes.bulk_job)


@router.get("/bulk-jobs/{bulk_job_id}", tags=["bulk-jobs"])
def read_bulk_job(session: Reading, bulk_job_id: UUID) -> BulkJobOut:
    """Read how far work in bulk has come."""
    return shapes.bulk_job(details.read(session, BulkJobRow, bulk_job_id))


@router.post(
    "/bulk-jobs/{bulk_job_id}/cancel",
    tags=["bulk-jobs"],
    dependencies=[MayBeRepeated],
    responses=described.problems(HTTPStatus.CONFLICT),
)
def cancel_bulk_job(parts: AnyParts, caller: Operator, bulk_job_id: UUID) -> BulkJobOut:
    """End work in bulk before its next row; what was done stays done. Needs the role operator.

    409 when it has ended otherwise.
    """
    row = bulk.cancel_bulk(
        parts.database, parts.queue, bulk_job_id, caller=caller, now=parts.clock()
    )
    return shapes.bulk_job(row)


def _ask(
    response: Response,
    parts: Parts,
    caller: Caller,
    request: ReplayManyRequest | RetryManyRequest,
    key: str | None,
) -> BulkJobOut | BulkCount:
    if request.dry_run:
        response.status_code = HTTPStatus.OK
        total = bulk.count(parts.database, request, now=parts.clock())
        return BulkCount(kind=bulk.kind_of(request), total=total)
    row = bulk.ask_in_bulk(
        parts.database, parts.queue, request, caller=caller, key=key, now=parts.clock()
    )
    return shapes.bulk_job(row)
