"""A vendor's answer as a value, and what each status means to the caller."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from schemas.events import Json
from schemas.storable import storable, without_depths
from service.errors import HookwrightError, RateLimited, Refused, VendorBroken
from service.rate_limit import DEFAULT_LIMITED_WAIT_S, asked_wait, calls_left
from service.redaction import redact

MAX_WORDS = 300
"""Characters of a vendor's own words that are kept in an error."""

_NOT_PERFORMED: frozenset[int] = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the vendor does not know this credential: check the connection's "
    "credentials",
    HTTPStatus.FORBIDDEN: "the credential is known but may not do this: check its permissions",
    HTTPStatus.NOT_FOUND: "check the id and the connection's base_url; some vendors answer 404 "
    "when a permission is missing",
}
_WORD_KEYS = ("message", "detail", "error_description", "error", "title", "msg", "errors")
_MAX_DEPTH = 4

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back: status, headers (any case), the whole body.

    `asked` says in words what was asked (`GET /me`), `safe` that asking changes nothing.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    asked: str = ""
    safe: bool = True

    def text(self) -> str:
        """Give the body as text; bytes that are no UTF-8 become replacement characters."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Json:
        """Give the body as JSON that every database can hold; what is nested too deep is None.

        Raises VendorBroken when it is none; the call may have been performed all the same.
        """
        try:
            return _parsed(self.body)
        except (ValueError, RecursionError) as fault:
            raise self._broken("something that is no JSON") from fault

    def read(self, model: type[M]) -> M:
        """Give the body as this model. Raises VendorBroken when it does not fit."""
        return self.fit(model, self.json())

    def fit(self, model: type[M], value: Json) -> M:
        """Give a part of the body as this model. Raises VendorBroken when it does not fit."""
        try:
            return model.model_validate(value)
        except ValidationError as fault:
            places = {".".join(map(str, error["loc"])) or "the body" for error in fault.errors()}
            raise self._broken(f"a body of another form ({', '.join(sorted(places))})") from fault

    def items(self, *keys: str) -> list[Json]:
        """Give the list in the body: the body itself, one of these members, or its only list.

        Raises VendorBroken when there is none.
        """
        value = self.json()
        if isinstance(value, list):
            return value
        if isinstance(value, Mapping):
            for key in keys:
                if isinstance(value.get(key), list):
                    return list(value[key])
            lists = [member for member in value.values() if isinstance(member, list)]
            if len(lists) == 1:
                return lists[0]
        raise self._broken("a body without a list")

    def objects(self, *keys: str) -> list[Json]:
        """Give the objects of the list in the body; one odd row does not cost the others.

        Raises VendorBroken when there is no list, or when it holds something and no object.
        """
        return self.objects_of(self.items(*keys))

    def objects_of(self, rows: Sequence[Json]) -> list[Json]:
        """Give the objects among these rows of the body. Raises VendorBroken like `objects`."""
        found = [row for row in rows if isinstance(row, Mapping)]
        if not found and any(row is not None for row in rows):
            raise self._broken("a list without objects")
        return found

    def _broken(self, what: str) -> VendorBroken:
        return VendorBroken(
            f"the answer {self.status} to {self.asked} is {what}", perhaps_done=not self.safe
        )


def _parsed(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except RecursionError:
        value = json.loads(without_depths(body.decode(json.detect_encoding(body), "replace")))
    return storable(value, cut=True)


def error_of(
    answer: HttpAnswer, *, who: str, now: datetime, failed_is_undone: bool = False
) -> HookwrightError | None:
    """Give the error this status means, with the vendor's own words; None for success.

    429, and 403 with the signs of a limit (vendors.md §6.3): RateLimited. 408, 425, 503: the
    request was not performed. Other 5xx: it may have been, unless `failed_is_undone` says that this
    vendor's do not leave that open. Anything else from 300 on: Refused.
    """
    status = answer.status
    if status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.NOT_MODIFIED:
        return None
    words = vendor_words(answer)
    message = f"{who} answered {status} to {answer.asked}" + (f": {words}" if words else "")
    wait = asked_wait(answer.headers, now)
    if status == HTTPStatus.TOO_MANY_REQUESTS or _is_limit(answer, words):
        seconds = DEFAULT_LIMITED_WAIT_S if wait is None else wait
        return RateLimited(message, retry_after=timedelta(seconds=seconds))
    if status in _NOT_PERFORMED or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return VendorBroken(
            message,
            retry_after=timedelta(seconds=wait)
            if "retry-after" in answer.headers and wait
            else None,
            perhaps_done=not (answer.safe or failed_is_undone or status in _NOT_PERFORMED),
            status=status,
            body=_json_or_none(answer),
        )
    if status < HTTPStatus.BAD_REQUEST:
        return Refused(
            message,
            status=status,
            hint="the vendor sends us elsewhere and only reads on the same host follow: check the "
            "connection's base_url and whether the thing was renamed",
        )
    return Refused(message, status=status, hint=_HINTS.get(status), body=_json_or_none(answer))


def _is_limit(answer: HttpAnswer, words: str) -> bool:
    if answer.status != HTTPStatus.FORBIDDEN:
        return False
    return (
        "retry-after" in answer.headers
        or calls_left(answer.headers) == 0
        or "rate limit" in words.lower()
    )


def _json_or_none(answer: HttpAnswer) -> Json:
    try:
        return _parsed(answer.body)
    except (ValueError, RecursionError):
        return None


def vendor_words(answer: HttpAnswer) -> str:
    """Give what the vendor says about its refusal: one line, bounded, without secrets."""
    kind = answer.headers.get("content-type", "")
    try:
        words = _words(json.loads(answer.body), 0)
    except (ValueError, RecursionError):
        words = "" if "html" in kind else answer.text()
    line = re.sub(r"[\x00-\x20\x7f-\x9f]+", " ", redact(words)).strip()
    return line if len(line) <= MAX_WORDS else f"{line[: MAX_WORDS - 1]}…"


def _words(value: Json, depth: int) -> str:
    """Find the words in the error bodies of vendors.md §0.3: problem, detail list, nested error."""
    if isinstance(value, str):
        return value
    if depth >= _MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(item, depth + 1) for item in value[:5])))
    if isinstance(value, Mapping):
        found = [_words(value[key], depth + 1) for key in _WORD_KEYS if value.get(key)]
        place = value.get("loc")
        if isinstance(place, list) and found:
            found.insert(0, ".".join(map(str, place)))
        return ": ".join(dict.fromkeys(filter(None, found)))
    return ""
