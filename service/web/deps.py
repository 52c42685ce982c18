"""What routes ask for by type: a session, the caller with a role, the parts of the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from schemas.clock import Clock, utc_now
from schemas.events import EventDraft
from service.actions import Actions, AnyAction
from service.db import Database, Session
from service.errors import Forbidden, Unauthenticated
from service.queue import Queue
from service.routing import announcer
from service.runtime import Runtime, make_runtime
from service.settings import Settings
from service.tokens import Caller, Role, authenticate
from service.unit_of_work import UnitOfWork, reading
from service.vendors import BY_NAME


@dataclass(frozen=True, slots=True)
class Parts:
    """What the process was started with."""

    settings: Settings
    database: Database
    queue: Queue
    clock: Clock = field(default=utc_now)
    actions: Mapping[str, AnyAction] = field(default_factory=lambda: Actions(BY_NAME))
    _calling: list[Runtime] = field(default_factory=list, repr=False)

    def calling(self) -> Runtime:
        """Give what calls vendors, made once: so its clients keep their limits between requests.

        Raises ConfigurationError when there is no secret key to open credentials with.
        """
        with _MAKING:
            if not self._calling:
                self._calling.append(make_runtime(self.settings, self.database, self.queue))
            return self._calling[0]

    def announce(self, work: UnitOfWork, draft: EventDraft, key: str) -> None:
        """Make an event of ours of what a request changes; see `own_events.Announce`."""
        announcer(self.calling())(work, draft, key)


_MAKING = threading.Lock()


def parts_of(request: Request) -> Parts:
    """Give what the process was started with."""
    parts: Parts = request.app.state.parts
    return parts


AnyParts = Annotated[Parts, Depends(parts_of)]


def read_session(parts: AnyParts) -> Iterator[Session]:
    """Open a transaction that only reads, for as long as the route runs."""
    with reading(parts.database) as session:
        yield session


# By default the code after `yield` would run after the answer was sent (style.md rule 19).
Reading = Annotated[Session, Depends(read_session, scope="function")]
Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, description="A token `hw_…`.")),
]


def caller_of(request: Request, parts: AnyParts, session: Reading, bearer: Bearer) -> Caller:
    """Give who asks. Raises Unauthenticated.

    `remote` is the other end of the connection: what headers say of it anybody can write.
    """
    if bearer is None:
        raise Unauthenticated
    caller = authenticate(
        session,
        bearer.credentials,
        now=parts.clock(),
        admin_token=parts.settings.admin_token,
    )
    remote = None if request.client is None else request.client.host
    return replace(caller, request_id=request.scope["request_id"], remote=remote)


class Needs:
    """A dependency that lets callers of at least one role pass."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        """Give the caller. Raises Forbidden."""
        if not caller.role.includes(self.role):
            raise Forbidden(f"this needs the role {self.role.value}")
        return caller


Viewer = Depends(Needs(Role.VIEWER))


def operator_of(
    caller: Annotated[Caller, Depends(Needs(Role.OPERATOR))], session: Reading
) -> Caller:
    """Give who decides on something, with the session at rest.

    A use case that writes has a transaction of its own. What was begun to recognise the caller
    must not keep a second connection meanwhile, and what is read afterwards is read anew.
    """
    session.close()
    return caller


Operator = Annotated[Caller, Depends(operator_of)]


def admin_of(caller: Annotated[Caller, Depends(Needs(Role.ADMIN))], session: Reading) -> Caller:
    """Give who changes the configuration, with the session at rest; see `operator_of`."""
    session.close()
    return caller


Admin = Annotated[Caller, Depends(admin_of)]


def idempotency_key(
    _key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            max_length=255,
            description="May be sent; it is not kept. The call is safe to repeat without one.",
        ),
    ] = None,
) -> None:
    """Take the header that clients send with every write."""


MayBeRepeated = Depends(idempotency_key)
