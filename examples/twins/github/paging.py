"""GitHub's pages: `page`, `per_page` up to 100, and the `Link` header."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

USUAL_PAGE = 30
MAX_PAGE = 100


def page_of(
    rows: list[dict[str, object]], request: Request
) -> tuple[list[dict[str, object]], str | None]:
    """The page that was asked for, and its `Link` header when there is more than one.

    Figures that are not numbers count as left out, as GitHub treats them.
    """
    size = page_size(request)
    page = max(1, _figure(request, "page", 1))
    last = max(1, -(-len(rows) // size))
    links: list[tuple[str, int]] = []
    if page > 1:
        links.append(("prev", min(page - 1, last)))
    if page < last:
        links += [("next", page + 1), ("last", last)]
    if page > 1:
        links.append(("first", 1))
    base = request.url
    shown = ", ".join(
        f'<{base.include_query_params(page=number, per_page=size)}>; rel="{name}"'
        for name, number in links
    )
    return rows[(page - 1) * size : page * size], shown or None


def page_size(request: Request) -> int:
    """How many rows a page of this call has."""
    return min(MAX_PAGE, max(1, _figure(request, "per_page", USUAL_PAGE)))


def answer_page(rows: list[dict[str, object]], request: Request) -> Response:
    """The page that was asked for as an answer."""
    shown, link = page_of(rows, request)
    return JSONResponse(shown, headers={"link": link} if link else None)


def _figure(request: Request, name: str, usual: int) -> int:
    given = request.query_params.get(name, "")
    return int(given) if given.isdecimal() else usual
