"""What people do with `/api/v1/workflows`: start one, switch one off and on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header

from schemas import api
from schemas.starting import StartRequest
from service.by_hand import start_by_hand, switch_workflow
from service.store import details, run_details
from service.web import described, run_shapes, shapes
from service.web.deps import AnyParts, MayBeRepeated, Operator, Reading

router = APIRouter(prefix="/workflows", tags=["workflows"])


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
) -> api.RunDetail:
    """Start a workflow by hand, with inputs or anew for a stored event. Needs the role operator.

    409 when the workflow is disabled; 422 when it does not take these inputs.
    """
    run_id = start_by_hand(
        parts.calling(),
        name,
        request.inputs,
        event_id=request.event,
        key=idempotency_key,
        by=caller.label,
    )
    return run_shapes.run_detail(run_details.read_run(session, run_id))


@router.post("/{name}/enable", dependencies=[MayBeRepeated])
def enable_workflow(
    session: Reading, parts: AnyParts, caller: Operator, name: str
) -> api.WorkflowDetail:
    """Let a workflow start runs again. Needs the role operator."""
    return _switch(session, parts, caller, name, enabled=True)


@router.post("/{name}/disable", dependencies=[MayBeRepeated])
def disable_workflow(
    session: Reading, parts: AnyParts, caller: Operator, name: str
) -> api.WorkflowDetail:
    """Let a workflow start no runs any more; those it has go on. Needs the role operator."""
    return _switch(session, parts, caller, name, enabled=False)


def _switch(
    session: Reading, parts: AnyParts, caller: Operator, name: str, *, enabled: bool
) -> api.WorkflowDetail:
    switch_workflow(
        parts.database,
        parts.queue,
        name=name,
        enabled=enabled,
        who=caller.label,
        now=parts.clock(),
    )
    return shapes.workflow_detail(*details.read_workflow(session, name))
