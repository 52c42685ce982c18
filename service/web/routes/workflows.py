"""`/api/v1/workflows`: reading, saving and playing them, starting one, switching one off and on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from schemas import api
from schemas.api_configured import WorkflowDetail, WorkflowOut
from schemas.api_runs import RunDetail
from schemas.saving import (
    BacktestReport,
    BacktestRequest,
    SaveRequest,
    VersionDetail,
    VersionOut,
)
from schemas.starting import StartRequest
from service.backtesting import play_request
from service.by_hand import start_by_hand, switch_workflow
from service.saving import save_workflow
from service.store import details, listing, run_details
from service.web import described, run_shapes, shapes
from service.web.deps import Admin, AnyParts, MayBeRepeated, Operator, Reading

router = APIRouter(prefix="/workflows", tags=["workflows"])

Asked = Annotated[api.Question, Query()]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("")
def list_workflows(session: Reading, parts: AnyParts, question: Asked) -> api.Page[WorkflowOut]:
    """List workflows with their current versions."""
    found, versions = listing.every_workflow(session, question)
    return shapes.page(
        found, lambda row: shapes.workflow(row, versions.get(row.id), parts.settings)
    )


@router.get("/{name}")
def read_workflow(session: Reading, parts: AnyParts, name: str) -> WorkflowDetail:
    """Read a workflow's current document."""
    return shapes.workflow_detail(*details.read_workflow(session, name), parts.settings)


@router.get("/{name}/versions")
def list_versions(session: Reading, name: str, question: Asked) -> api.Page[VersionOut]:
    """List the versions of a workflow, newest first. Runs keep the one they began with."""
    row = details.named_workflow(session, name)
    found = listing.every_version(session, row, question)
    return shapes.page(found, lambda version: shapes.version(version, row.current_version_id))


@router.get("/{name}/versions/{number}")
def read_version(session: Reading, name: str, number: Number) -> VersionDetail:
    """Read a version of a workflow: its document as it was written, and its `vars`."""
    row, version = details.read_version(session, name, number)
    return shapes.version_detail(version, row.current_version_id)


@router.put(
    "/{name}",
    dependencies=[MayBeRepeated],
    responses={
        int(HTTPStatus.CREATED): {
            "model": WorkflowDetail,
            "description": "The workflow is new",
        },
        **described.problems(HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    },
)
def save(
    session: Reading,
    parts: AnyParts,
    caller: Admin,
    name: str,
    request: SaveRequest,
    response: Response,
) -> WorkflowDetail:
    """Save a document as the current version of a workflow. Needs the role admin.

    It is checked whole and with the other workflows; 422 has every fault in `findings`, with line,
    column and hint. A document that is current already makes no new version. 409 for a workflow
    that a file declares. Templates stand in the document, under `templates`.
    """
    is_new = save_workflow(
        parts.database,
        parts.queue,
        name,
        request.document,
        request.vars,
        who=caller,
        now=parts.clock(),
    )
    response.status_code = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return shapes.workflow_detail(*details.read_workflow(session, name), parts.settings)


@router.post(
    "/{name}/backtest",
    dependencies=[MayBeRepeated],
    responses=described.problems(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
)
def play_over_history(
    parts: AnyParts, _caller: Operator, name: str, request: BacktestRequest
) -> BacktestReport:
    """Play a document over stored events, beside what was done. Needs the role operator.

    Nothing is called, changed or sent. At most 10,000 events are played, for about 20 seconds;
    `events_left` and `note` tell when there are more. 503 while others play.
    """
    report = play_request(parts.database, parts.actions, name, request, now=parts.clock())
    return shapes.backtest(report)


@router.post(
    "/{name}/runs",
    responses=described.problems(HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    status_code=HTTPStatus.ACCEPTED,
)
def start_run(
    session: Reading,
    parts: AnyParts,
    caller: Operator,
    name: str,
    request: StartRequest,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            max_length=255,
            description="The same key with inputs gives the same run.",
        ),
    ] = None,
) -> RunDetail:
    """Start a workflow by hand, with inputs or anew for a stored event. Needs the role operator.

    409 when the workflow is disabled; 422 when it does not take these inputs.
    """
    run_id = start_by_hand(
        parts.calling(),
        name,
        request.inputs,
        event_id=request.event,
        key=idempotency_key,
        by=caller,
    )
    return run_shapes.run_detail(run_details.read_run(session, run_id))


@router.post("/{name}/enable", dependencies=[MayBeRepeated])
def enable_workflow(
    session: Reading, parts: AnyParts, caller: Operator, name: str
) -> WorkflowDetail:
    """Let a workflow start runs again. Needs the role operator."""
    return _switch(session, parts, caller, name, enabled=True)


@router.post("/{name}/disable", dependencies=[MayBeRepeated])
def disable_workflow(
    session: Reading, parts: AnyParts, caller: Operator, name: str
) -> WorkflowDetail:
    """Let a workflow start no runs any more; those it has go on. Needs the role operator."""
    return _switch(session, parts, caller, name, enabled=False)


def _switch(
    session: Reading, parts: AnyParts, caller: Operator, name: str, *, enabled: bool
) -> WorkflowDetail:
    switch_workflow(
        parts.database,
        parts.queue,
        name=name,
        enabled=enabled,
        who=caller,
        now=parts.clock(),
    )
    return shapes.workflow_detail(*details.read_workflow(session, name), parts.settings)
