"""How a call of VibeView's API is made: its address, its pages, and the words of a refusal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator

from schemas.events import Json
from service.errors import Refused
from service.http import HttpAnswer, VendorHttp
from service.vendors.reading import as_list, as_mapping, as_whole

API = "/api/v1"
PAGE = 100

Role = Literal["viewer", "developer", "admin"]

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """A part of a list; `total` is how long the whole list is, None when it was not said.

    `places` also counts the rows that are no objects and were left out.
    """

    rows: list[M]
    places: int
    total: int | None = None


class Calls:
    """Base of the areas: makes calls and says in words what a refusal wants to be done.

    Errors are those of VendorHttp.
    """

    def __init__(self, http: VendorHttp) -> None:
        self._http = http

    def _get(
        self, path: str, params: Mapping[str, Any] | None = None, *, role: Role | None = None
    ) -> HttpAnswer:
        return self._ask("GET", path, params=params, role=role)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        safe: bool | None = None,
        role: Role | None = None,
    ) -> HttpAnswer:
        """Make one call; `path` stands below the API's root, `role` is what the call demands."""
        try:
            return self._http.request(
                method,
                f"{API}{path}",
                params=params,
                json=json,
                content=content,
                headers=headers,
                timeout_s=timeout_s,
                safe=safe,
            )
        except Refused as fault:
            hint = _hint(fault.status, role) or fault.hint
            raise Refused(fault.message, status=fault.status, hint=hint) from fault


def _hint(status: int | None, role: Role | None) -> str | None:
    """Say what to do about a refusal (vendors.md §1.2); None where nothing better is known."""
    if status == HTTPStatus.UNAUTHORIZED:
        return (
            "VibeView does not know the token: create an organisation API token (tok_…, shown "
            "once) and give it as the connection's credentials.api_token; a log-in token ends by "
            "itself"
        )
    if status == HTTPStatus.FORBIDDEN:
        needed = f"the role {role}" if role else "a higher role or belongs to another organisation"
        return (
            f"this call needs {needed}; the token's role is too low (viewer < developer < admin): "
            "create a token with that role and give it as credentials.api_token"
        )
    if status == HTTPStatus.NOT_FOUND:
        return (
            "check the id: VibeView wants public ids (suite_…, sr…, tr…, agg_…) of the token's own "
            "organisation; check the connection's base_url, which stands before /api/v1"
        )
    return None


def rows_of(answer: HttpAnswer, model: type[M], *keys: str) -> list[M]:
    """Give the answer's list, read: a bare array, or the only array of an object."""
    return [answer.fit(model, row) for row in answer.objects(*keys)]


def page_of(answer: HttpAnswer, model: type[M], *keys: str) -> Page[M]:
    """Give one page of a list, read."""
    total = as_whole(as_mapping(answer.json()).get("total"))
    return Page(rows_of(answer, model, *keys), len(answer.items(*keys)), total)


def walk(read: Callable[[int], Page[M]], *, pages: int | None = None) -> Iterator[M]:
    """Give every row of a list from its pages; `read` is given the offset.

    `pages` None reads to the end. A row that moved to the next page while we read is given once,
    and the one page of a server that knows no offset is given once.
    """
    seen: set[object] = set()
    before: list[M] = []
    offset, turn = 0, 0
    while pages is None or turn < pages:
        page = read(offset)
        if not page.places or (page.total is None and page.rows == before):
            return
        for row in page.rows:
            name = getattr(row, "id", None)
            if name is None or name not in seen:
                yield row
            if name is not None:
                seen.add(name)
        offset, before, turn = offset + page.places, page.rows, turn + 1
        if page.total is not None and offset >= page.total:
            return


def objects(value: object) -> list[dict[str, object]]:
    """Give the objects of an array; whatever else is in it is left out."""
    return [as_mapping(item) for item in as_list(value) if isinstance(item, dict)]


def as_number(value: object) -> float | None:
    """Give a number that may have a fraction; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


Number: TypeAlias = Annotated[float | None, BeforeValidator(as_number)]
Objects: TypeAlias = Annotated[tuple[dict[str, Any], ...], BeforeValidator(objects)]
