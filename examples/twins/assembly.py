"""Puts a twin together: vendor's part, control surface and front."""

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.twins.control import Control
from examples.twins.faults import FaultBook
from examples.twins.front import Cut, Front
from examples.twins.record import CallLog
from examples.twins.twin import Refusal, Twin


class VendorPart:
    """The vendor's calls: admitted first, then routed, errors in the vendor's own shape."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._routed = Starlette(
            routes=list(twin.routes()),
            exception_handlers={
                Refusal: self._refuse,
                HTTPException: self._refuse_unrouted,
                ValidationError: self._refuse_invalid,
            },
        )
        self._routed.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call of the vendor."""
        read: list[Message] = []

        async def remember() -> Message:
            read.append(await receive())
            return read[-1]

        async def again() -> Message:
            return read.pop(0) if read else await receive()

        try:
            # A token may be in the body, which the route is to read as well.
            await self._twin.admit(Request(scope, remember))
        except Refusal as refusal:
            await refusal.response()(scope, receive, send)
            return
        await self._routed(scope, again, send)

    async def _refuse(self, _: Request, error: Exception) -> Response:
        if not isinstance(error, Refusal):
            raise error
        return error.response()

    async def _refuse_unrouted(self, _: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        return self._twin.refusal(error.status_code, error.detail).response()

    async def _refuse_invalid(self, _: Request, error: Exception) -> Response:
        if not isinstance(error, ValidationError):
            raise error
        return self._twin.invalid(error).response()


def assemble(twin: Twin, cut: Cut) -> ASGIApp:
    """The whole twin as one ASGI application."""
    calls, faults = CallLog(), FaultBook()
    control = Control(twin, calls, faults).application()
    return Front(vendor=VendorPart(twin), control=control, calls=calls, faults=faults, cut=cut)
