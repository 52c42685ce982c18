"""Long polls: an answer comes when something has ended, or 408 when the time is over."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from examples.twins.checkly.account import Account, refusal
from examples.twins.checkly.paging import figure

LONGEST_S = 30
LOOK_S = 0.02


async def answer_when(
    request: Request,
    account: Account,
    has_ended: Callable[[], bool],
    show: Callable[[], dict[str, object]],
) -> Response:
    """Answer as soon as it has ended."""
    wait_s = figure(request, "maxWaitSeconds", LONGEST_S, high=LONGEST_S)
    left_s = wait_s * account.settings.long_poll_scale
    while not has_ended():
        if left_s <= 0:
            raise refusal(408, "The request took too long. Please try again.")
        await asyncio.sleep(min(LOOK_S, left_s))
        left_s -= LOOK_S
    return JSONResponse(show())
