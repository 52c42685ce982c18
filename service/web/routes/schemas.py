"""`/schemas/…`: the JSON Schemas by which editors complete and underline our files."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, Response

from service.errors import NotFound
from service.published_schemas import NAMES, schema_text

router = APIRouter(prefix="/schemas", tags=["schemas"])

MEDIA_TYPE = "application/schema+json"
_KEPT = {"Cache-Control": "public, max-age=3600"}


@router.get("/{name}", response_class=Response)
def read_schema(name: str) -> Response:
    """Give the JSON Schema of a kind of file: workflow, configuration or workflow-test `.json`.

    It says nothing about the installation, so anybody may read it.
    """
    if name not in NAMES:
        raise NotFound(f"there is no schema `{name}`", hint=f"there is {', '.join(NAMES)}")
    return Response(_text(name), media_type=MEDIA_TYPE, headers=_KEPT)


@cache
def _text(name: str) -> str:
    return schema_text(name)
