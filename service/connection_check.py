"""Asks a vendor who we are: whether a connection's credentials and address are good."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus

from schemas.connecting import CheckFailure, ConnectionCheck
from service.connections import outgoing_of
from service.errors import (
    AddressRefused,
    ConfigurationError,
    HookwrightError,
    NotFound,
    RateLimited,
    Refused,
    TimedOut,
    Unreachable,
)
from service.runtime import Runtime
from service.store import connections as store
from service.unit_of_work import reading
from service.vendors.base import CallContext, Vendor


def check_connection(runtime: Runtime, name: str) -> ConnectionCheck:
    """Ask the vendor of a connection who we are; what goes wrong there is an answer too.

    Nothing is changed at the vendor, and no transaction is open meanwhile. Raises NotFound when
    there is no connection of this name.
    """
    with reading(runtime.database) as session:
        row = store.named(session, name)
    if row is None:
        raise NotFound(f"there is no connection `{name}`")
    vendor = runtime.vendors.get(row.vendor)
    began = time.monotonic()
    who: str | None = None
    failure: HookwrightError | None = None
    try:
        if vendor is None:
            raise ConfigurationError(f"this version does not know the vendor {row.vendor}")
        # What a client remembers, such as whose token it is, must not answer for the vendor.
        opened = runtime.connections.open_anew(row, vendor)
        check = outgoing_of(vendor).check
        if check is None:
            who = f"{vendor.title} has no question that tells whose credentials these are"
        else:
            who = check(
                CallContext(
                    http=opened.http,
                    credentials=opened.credentials,
                    options=opened.options,
                    connection=row.name,
                    now=runtime.clock(),
                )
            )
    except HookwrightError as error:
        failure = error
    default = vendor.outgoing.base_url if vendor is not None and vendor.outgoing else ""
    return ConnectionCheck(
        connection=row.name,
        vendor=row.vendor,
        base_url=row.base_url or default,
        ok=failure is None,
        who=who,
        error=None if failure is None else _failure(failure, vendor),
        took_ms=round((time.monotonic() - began) * 1000),
    )


def _failure(error: HookwrightError, vendor: Vendor | None) -> CheckFailure:
    title = vendor.title if vendor is not None else "the vendor"
    return CheckFailure(
        code=error.code, message=error.message, hint=error.hint or _what_to_do(error, title)
    )


def _what_to_do(error: HookwrightError, title: str) -> str | None:
    """Give what a person can do now, where the error itself does not say."""
    if isinstance(error, Refused):
        return _OF_STATUS.get(error.status or 0, "").format(title=title) or None
    return next(
        (words.format(title=title) for kind, words in _OF_ERROR.items() if isinstance(error, kind)),
        None,
    )


_OF_STATUS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "{title} does not accept the credentials: make new ones there, put "
    "them where `credentials:` of the connection points to, and run `hookwright apply`",
    HTTPStatus.FORBIDDEN: "the credentials are known to {title} and lack a right; add it there",
    HTTPStatus.NOT_FOUND: "is `base_url` of the connection right? It replaces all that stands "
    "before the vendor's own path",
}
_OF_ERROR: Mapping[type[HookwrightError], str] = {
    AddressRefused: "set HOOKWRIGHT_ALLOW_PRIVATE_ADDRESSES to the network of this address if it "
    "is meant to be called",
    Unreachable: "can this machine reach {title}? Look at name service, firewall and `base_url`",
    TimedOut: "{title} was slow or something in between keeps its answers back; ask again",
    RateLimited: "{title} asks for fewer calls; that says nothing against the credentials",
}
