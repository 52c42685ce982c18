"""CheckView's pages: `limit`, `cursor`, and everything about the next page in headers."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from examples.twins.checkview.problems import problem

USUAL_PAGE = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a list; `made_at` and `number` are its place in it, newest first."""

    made_at: datetime
    number: int
    shown: dict[str, object]

    @property
    def place(self) -> tuple[int, int]:
        """What the list is ordered by and a cursor names."""
        return int(self.made_at.timestamp() * 1_000_000), self.number


def page_of(
    rows: Iterable[Row], request: Request, *, max_page: int
) -> tuple[list[dict[str, object]], dict[str, str]]:
    """The page that was asked for, and its headers.

    A cursor names the last row before the page, so that pages stay whole while rows arrive.
    """
    size = _size(request, max_page)
    ordered = sorted(rows, key=lambda row: row.place, reverse=True)
    cursor = request.query_params.get("cursor")
    rest = ordered if cursor is None else _after(ordered, _read(cursor, request))
    page, more = rest[:size], len(rest) > size
    headers = {"X-Has-More": str(more).lower(), "X-Total-Count": str(len(ordered))}
    if more:
        headers["X-Next-Cursor"] = _write(page[-1].place)
    return [row.shown for row in page], headers


def _after(ordered: list[Row], place: tuple[int, int]) -> list[Row]:
    return [row for row in ordered if row.place < place]


def _size(request: Request, max_page: int) -> int:
    given = request.query_params.get("limit", str(USUAL_PAGE))
    if not given.isdecimal() or int(given) < 1:
        raise problem(400, "limit must be a whole number above 0", request.url.path)
    return min(int(given), max_page)


def _write(place: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(f"{place[0]}:{place[1]}".encode()).decode()


def _read(cursor: str, request: Request) -> tuple[int, int]:
    try:
        made, number = base64.urlsafe_b64decode(cursor).decode().split(":")
        return int(made), int(number)
    except (ValueError, binascii.Error) as fault:
        raise problem(400, "cursor is not one of ours", request.url.path) from fault
