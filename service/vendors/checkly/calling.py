"""How Checkly's API is called: who we are, lists, pages, long polls, refusals in words.

Pages: checklyhq.com/docs/api-reference/overview (vendors.md §2.2). How a list of values and a time
are written in an address is not published there, so both are options.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from schemas.events import Json
from service.errors import HookwrightError, Refused, VendorBroken
from service.http import HttpAnswer, VendorHttp
from service.vendors.base import Options, PerMinute, dig
from service.vendors.reading import as_mapping, as_text

LONGEST_WAIT_S = 30
LONG_POLL_TIMEOUT_S = 40.0
"""Longer than the vendor itself waits (vendors.md §10)."""
LARGEST_PAGE = 100
_RANGE = re.compile(r"(\d+)-(\d+)/(\d+)")
_HINTS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Checkly does not know this API key: check the connection's api_key",
    HTTPStatus.PAYMENT_REQUIRED: "the account's plan does not include this",
    HTTPStatus.FORBIDDEN: "the API key may not do this in this account: check the connection's "
    "account_id and what the key's user may do",
    HTTPStatus.NOT_FOUND: "check the id, and that the connection's account_id is the account it "
    "belongs to",
}

NOTHING_FITS = (
    "no check has these tags or ids, or those that have are deactivated; or the API key may not "
    "run checks in this account"
)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class ChecklyCredentials(BaseModel):
    """An API key and the account it is used in; every call carries both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr = Field(min_length=1, description="An API key of a user of the account.")
    account_id: str = Field(min_length=1, description="The account's id, a UUID.")


class ChecklyConnectionOptions(Options):
    """Options of a connection."""

    per_minute: PerMinute = Field(
        default=600, description="How many calls a minute are made at most."
    )
    arrays: Literal["repeat", "brackets", "comma"] = Field(
        default="repeat",
        description="How several values of one parameter are written: the name repeated, the name "
        "with brackets repeated, or one text with commas.",
    )
    time_unit: Literal["s", "ms"] = Field(
        default="s", description="The unit of Unix times in addresses."
    )
    test_words: tuple[str, ...] = Field(
        default=("test", "script", "selector", "locator", "flak"),
        description="Words in the classification of an analysis which say that the test is at "
        "fault and not the application.",
    )
    environment_words: tuple[str, ...] = Field(
        default=("environment", "infrastructure", "network", "outage", "third"),
        description="Words in the classification of an analysis which say that neither the test "
        "nor the application is at fault, so that it is worth running the check again.",
    )


def auth_headers(
    credentials: ChecklyCredentials, _options: ChecklyConnectionOptions
) -> Mapping[str, str]:
    """Give the key as a bearer, and the account."""
    return {
        "Authorization": f"Bearer {credentials.api_key.get_secret_value()}",
        "X-Checkly-Account": credentials.account_id,
    }


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, in the vendor's order.

    `raw` are the rows as the vendor sent them, without those that are no objects. `next` is the
    cursor or the number of the page that follows, None when this was the last. `total` is None
    where the vendor does not say.
    """

    rows: Sequence[T]
    raw: Sequence[Json]
    next: str | None = None
    total: int | None = None


class Api:
    """The calls of one connection. Errors are those of VendorHttp."""

    def __init__(self, http: VendorHttp, options: ChecklyConnectionOptions) -> None:
        self._http = http
        self._options = options

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> HttpAnswer:
        """Read something. Parameters may be lists; those that are None are left out."""
        return self._ask("GET", path, params=self._written(params or {}))

    def send(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        safe: bool = False,
        hints: Mapping[int, str] | None = None,
    ) -> HttpAnswer:
        """Change something. `safe` says that doing it twice does no harm.

        `hints` says by status what to do about a refusal of this very call.
        """
        return self._ask(method, path, hints, json=body, safe=safe)

    def long_poll(self, path: str, max_wait_s: int) -> HttpAnswer | None:
        """Wait at the vendor for an end; None when it has not come, and may be asked for again."""
        if not 1 <= max_wait_s <= LONGEST_WAIT_S:
            message = f"max_wait_s must be from 1 to {LONGEST_WAIT_S}"
            raise ValueError(message)
        params = {"maxWaitSeconds": max_wait_s}
        try:
            return self._ask("GET", path, params=params, timeout_s=LONG_POLL_TIMEOUT_S)
        except VendorBroken as fault:
            if fault.status == HTTPStatus.REQUEST_TIMEOUT:
                return None
            raise

    def trigger(self, path: str, params: Mapping[str, Any], token: str) -> bool:
        """Call an old trigger address: True when everything passed, False when something failed.

        It knows a token in the address and neither key nor account. The vendor answers 503 for a
        failed check and says so in `hasFailures`; any other 503 is an outage. The token stays out
        of errors.
        """
        try:
            self._http.request(
                "GET",
                path,
                params=self._written(params),
                timeout_s=LONG_POLL_TIMEOUT_S,
                safe=False,
                bare=True,
            )
        except HookwrightError as fault:
            if isinstance(fault, VendorBroken) and dig(fault.body, "hasFailures") is not None:
                return False
            fault.message = fault.message.replace(token, "***")
            fault.args = (fault.message,)
            raise
        return True

    def cursor_page(self, path: str, params: Mapping[str, Any], model: type[M]) -> Page[M]:
        """Give a page of a list that names the next one by `nextId`."""
        answer = self.get(path, params)
        raw = answer.items("entries")
        cursor = as_text(as_mapping(answer.json()).get("nextId"))
        # The same cursor again would be read for ever.
        again = cursor is not None and cursor == params.get("nextId")
        return _page(answer, raw, model, None if again or not raw else cursor)

    def numbered_page(
        self, path: str, params: Mapping[str, Any], model: type[M], *, page: int, limit: int
    ) -> Page[M]:
        """Give a page of a list that tells its length by `Content-Range`; pages count from 1."""
        answer = self.get(path, {**params, "page": page, "limit": limit})
        raw = answer.items("data")
        found = _RANGE.search(answer.headers.get("content-range", ""))
        if found is None:
            more, total = len(raw) >= limit, None
        else:
            total = int(found[3])
            more = int(found[2]) + 1 < total
        return _page(answer, raw, model, str(page + 1) if more and raw else None, total)

    def moment(self, at: datetime | None, *, up: bool = False) -> int | None:
        """Give a time as the vendor's Unix number, rounded down, or up."""
        if at is None:
            return None
        seconds = at.timestamp()
        number = seconds * 1000 if self._options.time_unit == "ms" else seconds
        return math.ceil(number) if up else math.floor(number)

    def _written(self, params: Mapping[str, Any]) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for name, value in params.items():
            if isinstance(value, bool):
                written[name] = "true" if value else "false"
            elif not isinstance(value, list | tuple):
                written[name] = value
            elif value and self._options.arrays == "comma":
                written[name] = ",".join(map(str, value))
            elif value:
                written[name + "[]" * (self._options.arrays == "brackets")] = list(value)
        return written

    def _ask(
        self, method: str, path: str, hints: Mapping[int, str] | None = None, **how: Any
    ) -> HttpAnswer:
        try:
            return self._http.request(method, path, **how)
        except Refused as fault:
            fault.hint = {**_HINTS, **(hints or {})}.get(fault.status or 0, fault.hint)
            raise


def _page(
    answer: HttpAnswer,
    raw: Sequence[Json],
    model: type[M],
    following: str | None,
    total: int | None = None,
) -> Page[M]:
    rows = answer.objects_of(raw)
    return Page(tuple(answer.fit(model, row) for row in rows), rows, following, total)


def every(first: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Give the rows of all pages; `first` gives the page of a cursor or number, None the first."""
    place: str | None = None
    while True:
        page = first(place)
        yield from page.rows
        if page.next is None:
            return
        place = page.next
