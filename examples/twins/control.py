"""The control surface of every twin: record, faults, limits, settings, clock, state, reset."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from examples.twins.faults import Fault, FaultBook
from examples.twins.ratelimit import Bucket, Window, describe_limits
from examples.twins.record import CallLog
from examples.twins.twin import Refusal, Twin


class LimitChange(BaseModel):
    """New figures for the limit of this name; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    name: str
    limit: int | None = Field(default=None, ge=0)
    window_s: float | None = Field(default=None, gt=0)
    rate_per_s: float | None = Field(default=None, gt=0)
    burst: int | None = Field(default=None, ge=1)


class Skip(BaseModel):
    """How far the twin's clock is moved forward."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(ge=0)


class Control:
    """Control calls that all twins share, over one twin's record, faults and state."""

    def __init__(self, twin: Twin, calls: CallLog, faults: FaultBook) -> None:
        self._twin = twin
        self._calls = calls
        self._faults = faults

    def application(self) -> Starlette:
        """All control calls, those of the twin itself included."""
        shared: Sequence[Route] = (
            Route("/", self.show, methods=["GET"]),
            Route("/calls", self.list_calls, methods=["GET"]),
            Route("/reset", self.reset, methods=["POST"]),
            Route("/faults", self.list_faults, methods=["GET"]),
            Route("/faults", self.add_fault, methods=["POST"]),
            Route("/faults", self.remove_faults, methods=["DELETE"]),
            Route("/faults/{number:int}", self.remove_faults, methods=["DELETE"]),
            Route("/limits", self.show_limits, methods=["GET"]),
            Route("/limits", self.change_limit, methods=["POST"]),
            Route("/settings", self.show_settings, methods=["GET"]),
            Route("/settings", self.change_settings, methods=["POST"]),
            Route("/advance", self.advance, methods=["POST"]),
            Route("/state", self.show_state, methods=["GET"]),
        )
        return Starlette(
            routes=[Mount("/_twin", routes=[*shared, *self._twin.levers()])],
            exception_handlers={ValidationError: _explain, Refusal: _refuse},
        )

    async def show(self, _: Request) -> Response:
        """Name the twin."""
        return JSONResponse({"twin": self._twin.name})

    async def list_calls(self, request: Request) -> Response:
        """Calls received, filtered by `method` and `path`."""
        wanted = request.query_params
        found = self._calls.find(method=wanted.get("method"), path=wanted.get("path"))
        return JSONResponse(found)

    async def reset(self, _: Request) -> Response:
        """Forget calls, faults, skipped time and state; settings and changed limits stay."""
        self._calls.clear()
        self._faults.remove()
        self._twin.clock.clear()
        for limit in self._twin.limits.values():
            limit.clear()
        self._twin.clear()
        return JSONResponse({"reset": True})

    async def list_faults(self, _: Request) -> Response:
        """Faults that are switched on."""
        return JSONResponse(self._faults.listing())

    async def add_fault(self, request: Request) -> Response:
        """Switch a fault on."""
        number = self._faults.add(Fault.model_validate_json(await request.body()))
        return JSONResponse({"id": number}, 201)

    async def remove_faults(self, request: Request) -> Response:
        """Switch one fault or all faults off."""
        self._faults.remove(request.path_params.get("number"))
        return JSONResponse(self._faults.listing())

    async def show_limits(self, _: Request) -> Response:
        """Limits by name."""
        return JSONResponse(describe_limits(self._twin.limits))

    async def change_limit(self, request: Request) -> Response:
        """Change one limit; what it had counted is forgotten."""
        change = LimitChange.model_validate_json(await request.body())
        limit = self._twin.limits.get(change.name)
        if limit is None:
            names = ", ".join(self._twin.limits)
            raise Refusal(404, {"error": f"no limit {change.name!r}; there are: {names}"})
        if isinstance(limit, Window):
            if "limit" in change.model_fields_set:
                limit.limit = change.limit
            limit.window_s = change.window_s or limit.window_s
        elif isinstance(limit, Bucket):
            limit.rate_per_s = change.rate_per_s or limit.rate_per_s
            limit.burst = change.burst or limit.burst
        limit.clear()
        return await self.show_limits(request)

    async def show_settings(self, _: Request) -> Response:
        """Settings as they are now."""
        return JSONResponse(self._twin.settings.model_dump())

    async def change_settings(self, request: Request) -> Response:
        """Change the settings that are named in the body."""
        settings = self._twin.settings
        changed = {**settings.model_dump(), **await read_object(request)}
        checked = type(settings).model_validate(changed)
        for name in type(settings).model_fields:
            setattr(settings, name, getattr(checked, name))
        return await self.show_settings(request)

    async def advance(self, request: Request) -> Response:
        """Move the twin's clock forward."""
        self._twin.clock.skip(Skip.model_validate_json(await request.body()).seconds)
        return JSONResponse({"now": self._twin.clock.now().isoformat()})

    async def show_state(self, _: Request) -> Response:
        """All that exists in the twin."""
        return JSONResponse(self._twin.state())


async def read_object(request: Request) -> dict[str, object]:
    """The body as a JSON object; an empty body is an empty object."""
    if not await request.body():
        return {}
    try:
        value = await request.json()
    except ValueError as fault:
        raise Refusal(400, {"error": f"the body is not JSON: {fault}"}) from fault
    if not isinstance(value, dict):
        raise Refusal(400, {"error": "the body must be a JSON object"})
    return value


async def _explain(_: Request, error: Exception) -> Response:
    if not isinstance(error, ValidationError):
        raise error
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return JSONResponse({"error": "the control call does not fit", "problems": found}, 400)


async def _refuse(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return error.response()
