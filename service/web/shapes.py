"""Rows as the API shows them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from schemas import api
from schemas.api_configured import SourceOut, WorkflowDetail, WorkflowOut
from schemas.api_deliveries import Body, DeliveryDetail, DeliveryOut, RejectionDetail, RejectionOut
from schemas.api_events import EventDetail
from schemas.bulk import BulkJobOut, BulkPosition, ReplayOut
from schemas.configured_tables import SourceRow, WorkflowRow, WorkflowVersionRow
from schemas.events import Event
from schemas.saving import BacktestReport, VersionDetail, VersionOut
from schemas.tables import DeliveryRow, RejectionRow
from schemas.upkeep_tables import BulkJobRow
from service.backtest_report import Report
from service.backtesting import note_of
from service.paging import Page
from service.redaction import STRUCK, is_sensitive_name
from service.replay import Foreseen, Replayed
from service.settings import Effects, Settings
from service.source_address import source_address
from service.store.details import DeliveryStory, EventStory

T = TypeVar("T", bound=api.Answer)
Row = TypeVar("Row")


def page(found: Page[Row], shape: Callable[[Row], T]) -> api.Page[T]:
    """Give a page of rows in the shape of their answers."""
    return api.Page(
        data=[shape(row) for row in found.rows],
        has_more=found.has_more,
        next_cursor=found.next_cursor,
    )


def delivery(row: DeliveryRow, body_bytes: int) -> DeliveryOut:
    """Give a delivery as it stands in lists."""
    return DeliveryOut(**_delivery(row, body_bytes))


def delivery_detail(story: DeliveryStory) -> DeliveryDetail:
    """Give a delivery with all that came and all that became of it."""
    return DeliveryDetail(
        **_delivery(story.row, len(story.row.body)),
        headers=headers(story.row.headers),
        body=body(story.row.body),
        events=[api.EventRef.model_validate(event) for event in story.events],
        runs=[api.RunRef.model_validate(run) for run in story.runs],
    )


def replayed(row: DeliveryRow, found: Replayed) -> ReplayOut:
    """Give what reading a delivery anew has come to."""
    return ReplayOut(
        dry_run=False,
        delivery=delivery(row, len(row.body)),
        events=found.events,
        stored=found.stored,
        runs=[api.RunRef.model_validate(run) for run in found.runs],
    )


def foreseen(row: DeliveryRow, found: Foreseen) -> ReplayOut:
    """Give what reading a delivery anew would come to."""
    return ReplayOut(
        dry_run=True,
        delivery=delivery(row, len(row.body)),
        again=list(found.again),
        first=list(found.first),
    )


def bulk_job(row: BulkJobRow) -> BulkJobOut:
    """Give work in bulk with its progress."""
    given = {name: getattr(row, name) for name in BulkJobOut.model_fields if hasattr(row, name)}
    position = BulkPosition.model_validate(row.position or {})
    return BulkJobOut(**given, first_failures=list(position.failures))


def event_detail(story: EventStory) -> EventDetail:
    """Give an event with its payload and its runs."""
    values = {name: getattr(story.row, name) for name in Event.model_fields}
    return EventDetail(**values, runs=[api.RunRef.model_validate(run) for run in story.runs])


def rejection_detail(row: RejectionRow) -> RejectionDetail:
    """Give a refused request with what of it was kept."""
    return RejectionDetail(
        **RejectionOut.model_validate(row).model_dump(),
        headers=headers(row.headers),
        body=body(row.body),
    )


def source(row: SourceRow, settings: Settings) -> SourceOut:
    """Give a source with the address a vendor sends to."""
    made = {
        "url": source_address(row, settings),
        "has_path_token": row.path_token_sha256 is not None,
    }
    kept = {name: getattr(row, name) for name in SourceOut.model_fields if name not in made}
    return SourceOut(**kept, **made)


def workflow(
    row: WorkflowRow, version: WorkflowVersionRow | None, settings: Settings
) -> WorkflowOut:
    """Give a workflow as it stands in lists."""
    return WorkflowOut(**_workflow(row, version, settings))


def workflow_detail(
    row: WorkflowRow, version: WorkflowVersionRow, settings: Settings
) -> WorkflowDetail:
    """Give a workflow with its current document."""
    return WorkflowDetail(
        **_workflow(row, version, settings),
        document=version.document,
        vars=version.vars,
        source_text=version.source_text,
    )


def version(row: WorkflowVersionRow, current_id: UUID | None) -> VersionOut:
    """Give a version of a workflow as it stands in lists."""
    return VersionOut(**_version(row, current_id))


def version_detail(row: WorkflowVersionRow, current_id: UUID | None) -> VersionDetail:
    """Give a version of a workflow with its document."""
    return VersionDetail(
        **_version(row, current_id),
        mode=row.document.get("mode", "live"),
        document=row.document,
        vars=row.vars,
        source_text=row.source_text,
    )


def backtest(report: Report) -> BacktestReport:
    """Give a backtest that was played for a request."""
    return BacktestReport.model_validate({**report.as_json(), "note": note_of(report)})


def headers(stored: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Give stored headers with the values of secret ones struck out."""
    return [(name, STRUCK if is_sensitive_name(name) else value) for name, value in stored]


def body(raw: bytes) -> Body:
    """Give a body as text when it is some, else as base64."""
    try:
        return Body(encoding="text", content=raw.decode())
    except UnicodeDecodeError:
        return Body(encoding="base64", content=base64.b64encode(raw).decode())


def _delivery(row: DeliveryRow, body_bytes: int) -> dict[str, Any]:
    given = {"body_bytes", "verdict"}
    shown = {name for name in DeliveryOut.model_fields if name not in given}
    return {name: getattr(row, name) for name in shown} | {"body_bytes": body_bytes}


def _version(row: WorkflowVersionRow, current_id: UUID | None) -> dict[str, Any]:
    return {
        "version": row.number,
        "current": row.id == current_id,
        "created_at": row.created_at,
    }


def _workflow(
    row: WorkflowRow, version: WorkflowVersionRow | None, settings: Settings
) -> dict[str, Any]:
    shadow = settings.effects is Effects.SHADOW
    mode = version.document.get("mode", "live") if version else "live"
    return {
        "name": row.name,
        "description": version.document.get("description", "") if version else "",
        "enabled": row.enabled,
        "mode": "shadow" if shadow else mode,
        "version": version.number if version else 0,
        "from_file": row.from_file,
        "updated_at": row.updated_at,
    }
