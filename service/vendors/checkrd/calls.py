"""How Checkrd is called: which credential, idempotency keys, cursors, and refusals in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from uuid import uuid4

from pydantic import BaseModel

from schemas.events import Json
from service.errors import Refused, Transient, VendorBroken
from service.http import HttpAnswer, VendorHttp
from service.vendors.base import dig
from service.vendors.checkrd.connection import (
    CheckrdConnectionOptions,
    CheckrdCredentials,
    NotRenewed,
    key_headers,
    version_header,
)
from service.vendors.reading import as_list, as_mapping, as_text

PAGE = 100
"""The vendor's most rows a page; 20 (25 in the alert history) when nothing is asked for."""
IN_USE_PAUSE = timedelta(seconds=2)
KEY_IN_USE = "idempotency_key_in_use"
"""The error code while the first call under a key still runs (vendors.md §4.2)."""

M = TypeVar("M", bound=BaseModel)

_LOGIN = (
    "this call takes a log-in and no API key: give the connection the credential jwt, and "
    "refresh_token so that it is renewed by itself"
)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """A page of a list; `next_cursor` leads to the next one, None when this was the last."""

    rows: tuple[M, ...]
    next_cursor: str | None = None


class CheckrdCalls:
    """One connection's calls. Errors are those of VendorHttp, refusals with what to do now.

    `credentials` are those of the connection; None leaves every call to what it sends by itself.
    """

    def __init__(
        self,
        http: VendorHttp,
        options: CheckrdConnectionOptions,
        credentials: CheckrdCredentials | None = None,
    ) -> None:
        self._http = http
        self._options = options
        self._credentials = credentials

    def _get(
        self, path: str, params: Mapping[str, Any] | None = None, *, by_key: bool = False
    ) -> HttpAnswer:
        return self._call("GET", path, params=params, by_key=by_key)

    def _write(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        key: str | None,
        repeatable: bool = False,
    ) -> HttpAnswer:
        """Change something, under an idempotency key that the vendor honours for 24 h.

        Only with the caller's own key, or where the body is a desired state (`repeatable`), may
        the call be made again; the random key of any other is for the network's repetitions.
        """
        return self._call(
            method,
            path,
            json=body,
            headers={"Idempotency-Key": key or str(uuid4())},
            safe=repeatable or bool(key),
        )

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool | None = None,
        by_key: bool = False,
    ) -> HttpAnswer:
        own = self._own_headers() if by_key else {}
        try:
            return self._http.request(
                method,
                path,
                params=params,
                json=json,
                content=content,
                headers={**own, **(headers or {})},
                safe=safe,
                bare=bool(own),
            )
        except NotRenewed:
            raise
        except Refused as fault:
            raise self._in_words(fault, by_key=by_key, safe=safe is not False) from fault

    def _own_headers(self) -> dict[str, str]:
        """Give what authenticates by key; nothing where there is none and the log-in has to do."""
        known = self._credentials
        if known is None or known.api_key is None:
            return {}
        return {**version_header(self._options), **key_headers(known, self._options)}

    def _in_words(self, fault: Refused, *, by_key: bool, safe: bool) -> Refused | Transient:
        if dig(fault.body, "error.code") == KEY_IN_USE:
            return Transient(fault.message, retry_after=IN_USE_PAUSE, perhaps_done=not safe)
        known = self._credentials
        hint = fault.hint
        if fault.status == HTTPStatus.PAYMENT_REQUIRED:
            hint = "the organisation's plan at Checkrd does not allow this, or is used up"
        elif fault.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            if known and known.api_key is not None and (by_key or not known.has_login):
                hint = self._hint_for_key(fault.status, by_key=by_key)
            else:
                hint = self._hint_for_login(fault.status)
        return Refused(fault.message, status=fault.status, hint=hint)

    def _hint_for_key(self, status: int | None, *, by_key: bool) -> str:
        unknown = (
            "check the credential api_key and the option key_header "
            f"(now {self._options.key_header})"
        )
        if status == HTTPStatus.UNAUTHORIZED:
            return unknown if by_key else f"{unknown}; if the key is right, {_LOGIN}"
        return "this API key may not do that: check what the key is for" if by_key else _LOGIN

    def _hint_for_login(self, status: int | None) -> str:
        if status == HTTPStatus.FORBIDDEN:
            return (
                "the user behind the credential jwt has no role at Checkrd that may do this "
                "(insufficient_role): log in as one who may"
            )
        if self._credentials is None or self._credentials.refresh_token is None:
            return (
                "the credential jwt is wrong or has expired: give a fresh one, and refresh_token "
                "so that it is renewed by itself"
            )
        return "a renewed log-in is refused too: replace the credentials jwt and refresh_token"

    def _page(
        self, path: str, params: Mapping[str, Any], model: type[M], *, cursor: str | None = None
    ) -> Page[M]:
        """Give one page. A list without the vendor's envelope is a page of its own."""
        answer = self._get(path, {**params, "cursor": cursor})
        body = answer.json()
        told = as_mapping(body)
        if not isinstance(body, list) and not isinstance(told.get("data"), list):
            raise VendorBroken(f"the answer to {answer.asked} is a body without a list")
        rows = as_list(body) or as_list(told.get("data"))
        following = as_text(told.get("next_cursor")) if told.get("has_more") is not False else None
        if told.get("has_more") is True and following is None:
            # Ending here would lose rows without a word.
            raise VendorBroken(f"{answer.asked} has more rows and names no cursor to them")
        return Page(tuple(answer.fit(model, row) for row in answer.objects_of(rows)), following)

    def _every(self, path: str, params: Mapping[str, Any], model: type[M]) -> Iterator[M]:
        """Give every row of a list, page by page. Raises VendorBroken when it turns in a circle."""
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            page = self._page(path, {"limit": PAGE, **params}, model, cursor=cursor)
            yield from page.rows
            cursor = page.next_cursor
            if cursor is None:
                return
            if cursor in seen:
                raise VendorBroken(f"Checkrd's list {path} leads back to a page that was read")
            seen.add(cursor)


def written(moment: datetime | None) -> str | None:
    """Give a time as the vendor writes it (RFC 3339, UTC)."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def chosen(**members: Any) -> dict[str, Any]:
    """Give the members of a body that were chosen."""
    return {name: value for name, value in members.items() if value is not None}
