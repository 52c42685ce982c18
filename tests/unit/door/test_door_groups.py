"""Which deliveries become one group."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from schemas.clock import utc_now
from service.bell import Bell
from service.errors import Unavailable
from service.group_commit import GroupCommit, Stored
from service.queue import DramatiqQueue, make_broker
from service.store.arrivals import Arrival, Outcomes

SOURCE = uuid4()


class SlowInbox:
    """Stores nothing, each group when it is told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[list[str]] = asyncio.Queue()
        self.may_store = asyncio.Semaphore(0)

    async def connect(self) -> None:
        return

    async def store(self, group: Sequence[Arrival]) -> Outcomes:
        self.begun.put_nowait([arrival.delivery_key for arrival in group])
        await self.may_store.acquire()
        return {}

    async def close(self) -> None:
        return


class ComesAgain:
    """A sender who sends the next delivery as soon as he is answered."""

    def __init__(self, writer: GroupCommit, following: Sequence[str]) -> None:
        self.writer = writer
        self.following = following
        self.is_answered = False

    def done(self) -> bool:
        return self.is_answered

    def set_result(self, _stored: Stored, /) -> None:
        self.is_answered = True
        loop = asyncio.get_running_loop()
        for key in self.following:
            loop.call_soon(self.writer.add, arrival(key))

    def set_exception(self, error: Unavailable, /) -> None:
        raise error


def arrival(key: str) -> Arrival:
    return Arrival(uuid4(), SOURCE, "s", "github", key, utc_now(), b"[]", b"{}")


def test_who_comes_again_when_answered_is_in_the_next_group() -> None:
    async def scenario() -> None:
        inbox = SlowInbox()
        writer = GroupCommit([inbox], Bell(DramatiqQueue(make_broker(None))))
        await writer.start()
        writer.add_for(arrival("first"), ComesAgain(writer, ["again", "and again"]))
        assert await inbox.begun.get() == ["first"]
        meanwhile = writer.add(arrival("meanwhile"))
        inbox.may_store.release()
        assert await inbox.begun.get() == ["meanwhile", "again", "and again"]
        inbox.may_store.release()
        assert await meanwhile is None
        await writer.stop()

    asyncio.run(asyncio.wait_for(scenario(), 10))
