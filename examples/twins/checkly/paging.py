"""Checkly's two kinds of pages: numbered with `Content-Range`, and by an opaque cursor."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from examples.twins.checkly.account import Account, refusal

USUAL_NUMBERED = 10
USUAL_CURSOR = 20
MAX_PAGE = 100
Row = dict[str, object]


def figure(request: Request, name: str, usual: int, *, high: int | None = None) -> int:
    """A whole number of the query from 1 on; 400 for anything else."""
    text = request.query_params.get(name, str(usual))
    if not text.isdecimal() or int(text) < 1 or (high is not None and int(text) > high):
        raise refusal(400, f'"{name}" must be a number from 1 to {high or "any"}')
    return int(text)


def flag(request: Request, name: str) -> bool | None:
    """`true`, `false` or nothing; 400 for anything else."""
    text = request.query_params.get(name)
    if text not in {None, "true", "false"}:
        raise refusal(400, f'"{name}" must be a boolean')
    return None if text is None else text == "true"


def moment(request: Request, name: str, account: Account) -> datetime | None:
    """A Unix time of the query in the account's unit."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise refusal(400, f'"{name}" must be a number')
    seconds = int(text) / (1000 if account.settings.time_unit == "ms" else 1)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as fault:
        raise refusal(400, f'"{name}" is no Unix time') from fault


def several(request: Request, name: str, account: Account) -> list[str]:
    """The values of a list in the one way of writing that the account takes."""
    style = account.settings.arrays
    if style == "comma":
        return [text for text in request.query_params.get(name, "").split(",") if text]
    return request.query_params.getlist(name + "[]" * (style == "brackets"))


def numbered(rows: Sequence[Row], request: Request) -> Response:
    """A page of a bare array, with `Content-Range`."""
    limit = figure(request, "limit", USUAL_NUMBERED, high=MAX_PAGE)
    first = (figure(request, "page", 1) - 1) * limit
    shown = list(rows[first : first + limit])
    told = f"{first}-{first + len(shown) - 1}" if shown else "*"
    return JSONResponse(shown, headers={"content-range": f"{told}/{len(rows)}"})


def by_cursor(rows: Sequence[Row], request: Request, key: str = "id") -> Response:
    """A page of `entries`; the cursor names the last row that was given."""
    limit = figure(request, "limit", USUAL_CURSOR, high=MAX_PAGE)
    first = 0
    cursor = request.query_params.get("nextId")
    if cursor is not None:
        last = _opened(cursor)
        places = [number for number, row in enumerate(rows) if row[key] == last]
        if not places:
            raise refusal(400, '"nextId" is not valid')
        first = places[0] + 1
    shown = list(rows[first : first + limit])
    more = first + limit < len(rows)
    following = _closed(str(shown[-1][key])) if more and shown else None
    return JSONResponse({"length": len(shown), "entries": shown, "nextId": following})


def _closed(last: str) -> str:
    return base64.urlsafe_b64encode(f"after:{last}".encode()).decode()


def _opened(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor.encode()).decode().removeprefix("after:")
    except ValueError as fault:
        raise refusal(400, '"nextId" is not valid') from fault
