"""What every twin is made of, and the words it shares with its front and its control surface."""

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from examples.twins.clock import Clock
from examples.twins.ratelimit import Limits


class Settings(BaseModel):
    """What may be set on the command line and changed while the twin runs; kept by a reset.

    Args:
        key: the API key or token the twin accepts.
        secret: what it signs its webhooks with.
        receiver: the address its webhooks go to; `None` until one is set.
        pace: seconds a phase of its work lasts.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    key: str = Field(min_length=1)
    secret: str = ""
    receiver: str | None = None
    pace: float = Field(default=1.0, ge=0)


class Refusal(Exception):  # noqa: N818 - it is an answer of the vendor, not an error of ours
    """An answer other than success, in the vendor's own shape."""

    def __init__(self, status: int, body: object, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = headers

    def response(self) -> Response:
        """The answer as HTTP; text stays text, anything else is JSON."""
        headers = dict(self.headers)
        if isinstance(self.body, str):
            return PlainTextResponse(self.body, self.status, headers=headers)
        return JSONResponse(self.body, self.status, headers=headers)


class Twin(Protocol):
    """One stand-in server: its vendor's calls, its levers and all that exists in it."""

    name: str
    clock: Clock
    limits: Limits

    @property
    def settings(self) -> Settings:
        """What it was started with, as changed since."""
        ...

    def routes(self) -> Sequence[Route]:
        """The vendor's calls."""
        ...

    def levers(self) -> Sequence[Route]:
        """Control calls of this twin alone; their paths are below `/_twin`."""
        ...

    async def admit(self, request: Request) -> None:
        """Authenticate and count a call, or raise a `Refusal`."""
        ...

    def refusal(self, status: int, message: str) -> Refusal:
        """An error without further detail in the vendor's shape (unknown path, wrong method)."""
        ...

    def invalid(self, error: ValidationError) -> Refusal:
        """A body that does not fit, in the vendor's shape."""
        ...

    def state(self) -> dict[str, object]:
        """All that exists in the twin."""
        ...

    def clear(self) -> None:
        """Return to the state of a fresh start; settings stay."""
        ...
