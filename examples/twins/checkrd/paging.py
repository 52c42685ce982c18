"""Lists as Checkrd gives them: `{data, has_more, next_cursor}`."""

import base64
import binascii
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from examples.twins.checkrd.account import refusal

MOST_ROWS = 100
USUAL_ROWS = 20


def list_page(
    request: Request, rows: Sequence[dict[str, object]], *, usual: int = USUAL_ROWS
) -> Response:
    """A page of rows in their order; a cursor stands behind the row it names."""
    given = request.query_params.get("limit", str(usual))
    if not given.isdecimal() or not 1 <= int(given) <= MOST_ROWS:
        raise refusal(400, f"limit must be from 1 to {MOST_ROWS}", "invalid_parameter", "limit")
    start = _behind(rows, request.query_params.get("cursor"))
    page = rows[start : start + int(given)]
    has_more = start + len(page) < len(rows)
    following = _cursor(page[-1]) if has_more else None
    return JSONResponse({"data": list(page), "has_more": has_more, "next_cursor": following})


def _behind(rows: Sequence[dict[str, object]], cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        wanted = base64.urlsafe_b64decode(cursor).decode()
    except (binascii.Error, ValueError):
        wanted = ""
    for number, row in enumerate(rows):
        if row["id"] == wanted:
            return number + 1
    raise refusal(400, "cursor is not known", "invalid_parameter", "cursor")


def _cursor(row: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(str(row["id"]).encode()).decode()
