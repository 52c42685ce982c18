"""The record of every call a twin received. Control calls are not in it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl

from starlette.requests import Request

MASK = "***"
SECRET_HEADERS = frozenset({"authorization", "checksumappcode", "cookie", "x-api-key"})
SCOPE_KEY = "twin.call"


@dataclass(slots=True)
class Call:
    """One call as it came, and what became of it.

    `status` is what the twin answered, `None` when the connection was cut first. `took_effect` says
    that something in the twin changed. `answered` says that a whole answer was handed to the
    network. `fault` names the mode that spoiled the call, if any.
    """

    number: int
    at: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: object
    status: int | None = None
    took_effect: bool = False
    answered: bool = False
    fault: str | None = None
    answer: object = field(default=None)


class CallLog:
    """Calls in the order of their arrival, numbered from 1."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def open(
        self,
        *,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        raw_body: bytes,
    ) -> Call:
        """Enter a call before it is handled, so that a cut one is in the record too."""
        call = Call(
            number=len(self._calls) + 1,
            at=datetime.now(UTC).isoformat(),
            method=method,
            path=path,
            query=dict(query),
            headers=_mask(headers),
            body=read_body(raw_body, headers.get("content-type", "")),
        )
        self._calls.append(call)
        return call

    def find(
        self, *, method: str | None = None, path: str | None = None
    ) -> list[dict[str, object]]:
        """Calls of this method and path pattern as JSON objects, oldest first."""
        return [
            asdict(call) for call in self._calls if matches(call.method, call.path, method, path)
        ]

    def clear(self) -> None:
        """Forget every call; numbering starts again."""
        self._calls.clear()


def mark_effect(request: Request) -> None:
    """Note that this call changed something in the twin."""
    call: Call = request.scope[SCOPE_KEY]
    call.took_effect = True


def matches(method: str, path: str, wanted_method: str | None, pattern: str | None) -> bool:
    """Whether a call fits a method and a path pattern; `None` fits all.

    A pattern uses shell wildcards and may leave out the beginning of the path: `/auto-heal*` fits
    `/public-api/v1/auto-heal`.
    """
    if wanted_method and wanted_method.upper() != method:
        return False
    return not pattern or fnmatchcase(path, pattern) or fnmatchcase(path, "*" + pattern)


def read_body(raw: bytes, content_type: str) -> object:
    """JSON as its value, a form as an object of strings, anything else as text, nothing as None."""
    if not raw:
        return None
    text = raw.decode(errors="replace")
    if "application/x-www-form-urlencoded" in content_type:
        fields = dict(parse_qsl(text, keep_blank_values=True))
        return fields | ({"token": MASK} if "token" in fields else {})
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _mask(headers: Mapping[str, str]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() in SECRET_HEADERS:
            scheme, separator, _ = value.partition(" ")
            shown[name] = f"{scheme} {MASK}" if separator else MASK
        else:
            shown[name] = value
    return shown
