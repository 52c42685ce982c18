"""Figures in query strings."""

from starlette.requests import Request

from examples.twins.twin import Refusal

HUGE = 1_000_000


def figure(request: Request, name: str, *, usual: int, low: int, high: int = HUGE) -> int:
    """A whole number within bounds; refused as FastAPI refuses it otherwise."""
    given = request.query_params.get(name, str(usual))
    if given.isdecimal() and low <= int(given) <= high:
        return int(given)
    message = f"Input should be a whole number from {low} to {high}"
    detail = [{"type": "int_parsing", "loc": ["query", name], "msg": message, "input": given}]
    raise Refusal(422, {"detail": detail})
