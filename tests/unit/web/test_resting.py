"""A connection that was refused for load is not read for a moment, and then it is."""

from __future__ import annotations

import asyncio

from service.web import connections
from service.web.connections import Resting


class Connection:
    def __init__(self) -> None:
        self.reads = asyncio.Event()

    def read_on(self) -> None:
        self.reads.set()


def test_all_who_rest_are_read_again_when_the_moment_is_over() -> None:
    async def rest() -> None:
        resting = Resting()
        for _ in range(2):  # also those that come after
            loop = asyncio.get_running_loop()
            began = loop.time()
            refused = [Connection(), Connection()]
            for one in refused:
                resting.add(one)
            async with asyncio.timeout(10):
                for one in refused:
                    await one.reads.wait()
            assert loop.time() - began > connections.REST_S * 0.9

    asyncio.run(rest())
