"""What was configured: `/api/v1/sources`, `connections` and `polls`. No secrets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from schemas import api
from schemas.api_configured import ConnectionOut, PollOut, SourceOut
from service.store import details, listing
from service.web import shapes
from service.web.deps import AnyParts, Reading

router = APIRouter()
Asked = Annotated[api.Question, Query()]


@router.get("/sources", tags=["sources"])
def list_sources(parts: AnyParts, session: Reading, question: Asked) -> api.Page[SourceOut]:
    """List receiving addresses."""
    found = listing.every_source(session, question)
    return shapes.page(found, lambda row: shapes.source(row, parts.settings))


@router.get("/sources/{name}", tags=["sources"])
def read_source(parts: AnyParts, session: Reading, name: str) -> SourceOut:
    """Read a receiving address."""
    return shapes.source(details.read_source(session, name), parts.settings)


@router.get("/connections", tags=["connections"])
def list_connections(session: Reading, question: Asked) -> api.Page[ConnectionOut]:
    """List accounts at vendors."""
    found = listing.every_connection(session, question)
    return shapes.page(found, ConnectionOut.model_validate)


@router.get("/polls", tags=["polls"])
def list_polls(session: Reading, question: Asked) -> api.Page[PollOut]:
    """List the questions that are asked of vendors."""
    return shapes.page(listing.every_poll(session, question), PollOut.model_validate)
