"""Every error Hookwright raises on purpose, in one tree.

A class's docstring is its default message; `code` is stable and goes to API answers, logs and
metrics. Foreign exceptions are translated into these at the adapter that met them.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar


class HookwrightError(Exception):
    """Something went wrong in Hookwright."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        """Keep the sentence for people and, where one exists, what to do now."""
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.hint = hint
        super().__init__(self.message)


class Rejected(HookwrightError):  # noqa: N818  # the tree's words are given by style.md rule 12
    """The request cannot be accepted as it is."""

    code = "rejected"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class NotFound(Rejected):
    """There is nothing with this name or id."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND


class Unauthenticated(Rejected):
    """A valid bearer token is needed."""

    code = "unauthenticated"
    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Rejected):
    """This token may not do that."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN


class Invalid(Rejected):
    """A value has the wrong shape."""

    code = "invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Conflict(Rejected):
    """The thing is not in a state for this."""

    code = "conflict"
    status = HTTPStatus.CONFLICT


class ConfigurationError(Rejected):
    """The configuration cannot be used as it is."""

    code = "configuration"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class SignatureError(Rejected):
    """The delivery is not proven to come from its source.

    `code` is the reason and stays inside (log, metric, quarantine): the sender gets one and the
    same answer for all of them.
    """

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, reason: str, message: str | None = None) -> None:
        """Reason: a stable snake_case word such as `signature_mismatch` or `stale`."""
        super().__init__(message or reason.replace("_", " "))
        self.reason = reason


class HandshakeError(Rejected):
    """The handshake request is malformed."""

    code = "handshake_malformed"
    status = HTTPStatus.BAD_REQUEST


class Transient(HookwrightError):  # noqa: N818
    """It failed now and may succeed later."""

    code = "transient"

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: timedelta | None = None,
        perhaps_done: bool = False,
        hint: str | None = None,
    ) -> None:
        """Keep `retry_after` when the other side named a waiting time.

        `perhaps_done`: the request may have been performed although we have no answer.
        """
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.perhaps_done = perhaps_done


class TimedOut(Transient):
    """The other side did not answer in time."""

    code = "timed_out"


class Unreachable(Transient):
    """No connection to the other side could be made: the request was certainly not performed."""

    code = "unreachable"


class NotSent(Transient):
    """We held the request back ourselves: the other side never had the whole of it."""

    code = "not_sent"


class RateLimited(Transient):
    """The other side asks us to slow down."""

    code = "rate_limited"


class VendorBroken(Transient):
    """The other side failed, or answered with something that is no answer."""

    code = "vendor_broken"

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: timedelta | None = None,
        perhaps_done: bool = False,
        hint: str | None = None,
        status: int | None = None,
        body: Any = None,
    ) -> None:
        """`status` and `body` (JSON): those of the answer, when there was one."""
        super().__init__(message, retry_after=retry_after, perhaps_done=perhaps_done, hint=hint)
        self.status = status
        self.body = body


class Unavailable(Transient):
    """A part of our own installation (database, queue) is not available now."""

    code = "unavailable"


class Permanent(HookwrightError):  # noqa: N818
    """It failed and trying again cannot help."""

    code = "permanent"


class Refused(Permanent):
    """The other side refuses this request."""

    code = "refused"

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        hint: str | None = None,
        body: Any = None,
    ) -> None:
        """`status` and `body` (JSON): those of the answer, when there was one."""
        super().__init__(message, hint=hint)
        self.status = status
        self.body = body


class AddressRefused(Permanent):
    """The address guard does not allow calls to this address."""

    code = "address_refused"


class Bug(HookwrightError):  # noqa: N818
    """Hookwright contradicts itself; please report this."""

    code = "bug"
