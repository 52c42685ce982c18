"""Addresses: which are the pages', and to which of them somebody is led back."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.requests import Request

PATHS = (
    "/sign-in",
    "/sign-out",
    "/style.css",
    "/events",
    "/decisions",
    "/runs/",
    "/deliveries/",
    "/alerts/",
    "/refused",
)
PROGRAMS = frozenset({"api", "health", "hooks", "schemas"})
"""What the addresses for programs begin with."""
LONGEST = 2000

# A path that is one of ours as it stands, and any query: of that no browser reads another host.
_PAGE = re.compile(r"/(?:events|decisions|runs/[0-9A-Fa-f-]{36})?(?:\?[!-~]*)?")


def is_page(path: str, accept: str) -> bool:
    """Say whether this path is a page's. To whoever reads HTML all are, but those for programs."""
    if path.startswith(PATHS):
        return True
    return "text/html" in accept and path.lstrip("/").partition("/")[0] not in PROGRAMS


def own_page(address: str | None) -> str:
    """Give an address of a page of ours; the first page for any other, and for None.

    Whoever made the link must not send people elsewhere.
    """
    if address is None or len(address) > LONGEST or not _PAGE.fullmatch(address):
        return "/"
    return address


def asked_page(request: Request) -> str:
    """Give the page that was asked for, with its query."""
    query = request.scope["query_string"].decode("latin-1")
    path = request.url.path
    return own_page(f"{path}?{query}" if query else path)


def to_sign_in(request: Request) -> str:
    """Give the address at which one signs in and comes back to where one was."""
    wanted = asked_page(request)
    return "/sign-in" if wanted == "/" else f"/sign-in?to={quote(wanted)}"
