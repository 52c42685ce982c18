"""Storing in groups: each delivery once, each answered with what became of it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlmodel import col, select, update

from schemas.clock import utc_now
from schemas.ids import new_id
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow
from service.db import Database
from service.errors import Unavailable
from service.store.arrivals import SWEEP_AFTER, Arrival, Earlier, Inbox
from service.store.inbox import open_inboxes
from tests.integration.door.receiver import BellBook, Receiver, add_source, receiving
from tests.servers import wait_until


def test_a_hundred_at_once_are_one_row_and_one_ring(receiver: Receiver, bell: BellBook) -> None:
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: receiver.send("the-same"), range(100)))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 99}
    (row,) = receiver.rows()
    assert {answer.json()["id"] for answer in answers} == {str(row.id)}
    receiver.send("another")
    wait_until(lambda: len(bell.rung()) == 2)
    assert bell.rung().count(row.id) == 1


def test_many_at_once_are_all_stored_and_rung(receiver: Receiver, bell: BellBook) -> None:
    keys = [f"key-{number}" for number in range(300)]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(receiver.send, keys))
    told = {key: answer.json()["id"] for key, answer in zip(keys, answers, strict=True)}
    assert told == {row.delivery_key: str(row.id) for row in receiver.rows()}
    wait_until(lambda: sorted(bell.rung()) == sorted(UUID(given) for given in told.values()))
    assert all(len(job.delivery_ids) <= 100 for job in bell.jobs)  # type: ignore[union-attr]


def test_two_receivers_take_the_same_keys_in_any_order(database: Database) -> None:
    """No circle of waiting: one of them stores each key, the other tells the same id."""
    with database.session() as session:
        add_source(session)
    keys = [f"key-{number}" for number in range(60)]
    with receiving(database, BellBook()) as one, receiving(database, BellBook()) as two:
        with ThreadPoolExecutor(40) as pool:
            ones = pool.map(one.send, keys)
            twos = pool.map(two.send, reversed(keys))
        first = dict(zip(keys, ones, strict=True))
        second = dict(zip(reversed(keys), twos, strict=True))
        assert len(one.rows()) == len(keys)
    for key in keys:
        assert sorted((first[key].status_code, second[key].status_code)) == [200, 202]
        assert first[key].json()["id"] == second[key].json()["id"]


def set_state(database: Database, state: DeliveryState) -> None:
    with database.session() as session:
        session.execute(
            update(DeliveryRow).values(state=state, due_at=None, failures=9, error="it broke")
        )
        session.commit()


@pytest.mark.parametrize("state", [DeliveryState.DEAD, DeliveryState.UNCONFIRMED])
def test_a_redelivery_revives_what_ended_in_vain(
    receiver: Receiver, bell: BellBook, state: DeliveryState
) -> None:
    given = UUID(receiver.send("again").json()["id"])
    wait_until(lambda: bell.rung() == [given])
    set_state(receiver.database, state)
    before = utc_now()
    answer = receiver.send("again")
    assert (answer.status_code, answer.json()["id"]) == (200, str(given))
    (row,) = receiver.rows()
    assert (row.state, row.failures, row.error) == (DeliveryState.RECEIVED, 0, None)
    assert row.due_at is not None
    assert before <= row.due_at <= utc_now()
    wait_until(lambda: bell.rung() == [given, given])


@pytest.mark.parametrize("state", [DeliveryState.INGESTED, DeliveryState.MALFORMED])
def test_a_redelivery_leaves_what_is_done_alone(
    receiver: Receiver, bell: BellBook, state: DeliveryState
) -> None:
    given = UUID(receiver.send("again").json()["id"])
    set_state(receiver.database, state)
    assert receiver.send("again").status_code == 200
    (row,) = receiver.rows()
    assert (row.state, row.failures) == (state, 9)
    receiver.send("last")
    wait_until(lambda: len(bell.rung()) == 2)
    assert bell.rung().count(given) == 1


# --- the store by itself ----------------------------------------------------------------------


def arrival(key: str, source_id: UUID) -> Arrival:
    return Arrival(new_id(), source_id, "github", "github", key, utc_now(), b'[["a","b"]]', b"body")


def with_inbox(database: Database, scenario: Callable[[Inbox], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        inbox = open_inboxes(database, utc_now)[0]
        try:
            await scenario(inbox)
        finally:
            await inbox.close()

    asyncio.run(run())


def test_storing_a_group_again_tells_that_it_is_there(database: Database) -> None:
    """What happens when the connection is lost in a commit: our own rows are no duplicates."""

    async def scenario(inbox: Inbox) -> None:
        source = uuid4()
        group = [arrival(key, source) for key in ("b", "a", "a", "c")]
        first = await inbox.store(group)
        assert first == {group[2].id: Earlier(group[1].id, revived=False)}
        assert await inbox.store(group) == first
        late = arrival("b", source)
        assert await inbox.store([late, arrival("d", source)]) == {
            late.id: Earlier(group[0].id, revived=False)
        }

    with_inbox(database, scenario)


def test_equal_keys_of_one_group_revive_once(database: Database) -> None:
    async def scenario(inbox: Inbox) -> None:
        source = uuid4()
        old = arrival("a", source)
        await inbox.store([old])
        set_state(database, DeliveryState.DEAD)
        group = [arrival("a", source), arrival("a", source)]
        outcomes = await inbox.store(group)
        assert set(outcomes.values()) == {Earlier(old.id, revived=True)}

    with_inbox(database, scenario)


def test_a_full_group_is_stored_whole(database: Database) -> None:
    source = uuid4()

    async def scenario(inbox: Inbox) -> None:
        assert await inbox.store([arrival(f"k{number}", source) for number in range(500)]) == {}

    with_inbox(database, scenario)
    with database.session(read_only=True) as session:
        rows = session.exec(select(DeliveryRow)).all()
    row = next(row for row in rows if row.delivery_key == "k7")
    assert (row.headers, row.body, row.source_id) == ([["a", "b"]], b"body", source)
    # On SQLite all of a statement are due when the last of it is.
    latest = max(row.received_at for row in rows)
    for row in rows:
        assert row.due_at is not None
        assert row.received_at + SWEEP_AFTER <= row.due_at <= latest + SWEEP_AFTER


def test_a_group_of_large_bodies_is_stored_whole(database: Database) -> None:
    """More than the network takes at once: what libpq holds back is sent when there is room."""
    source = uuid4()
    bodies = [bytes([number]) * 1_000_000 for number in range(8)]

    async def scenario(inbox: Inbox) -> None:
        group = [arrival(f"k{number}", source) for number in range(8)]
        for one, body in zip(group, bodies, strict=True):
            one.body = body
        assert await inbox.store(group) == {}

    with_inbox(database, scenario)
    with database.session(read_only=True) as session:
        rows = session.exec(select(DeliveryRow).order_by(DeliveryRow.delivery_key)).all()
    assert [row.body for row in rows] == bodies


def test_a_store_that_was_given_up_leaves_an_inbox_that_works(database: Database) -> None:
    async def scenario(inbox: Inbox) -> None:
        source = uuid4()
        await inbox.connect()
        # Somebody holds the table, so that no answer can come before it is given up.
        hold = "SELECT 1" if database.is_sqlite else "LOCK TABLE deliveries IN EXCLUSIVE MODE"
        with database.engine.connect() as other:
            other.execute(text(hold))
            given_up = asyncio.ensure_future(inbox.store([arrival("a", source)]))
            await asyncio.sleep(0)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
        again = await inbox.store([arrival("a", source), arrival("b", source)])
        assert len(again) <= 1  # whether the first was committed nobody can know

    with_inbox(database, scenario)


def test_one_row_that_cannot_be_stored_does_not_cost_the_others(postgres_url: str) -> None:
    """Nothing that comes in can be such a row; a mistake of ours must still not spread."""
    database = Database(postgres_url)
    group = [arrival(key, uuid4()) for key in ("a", "b", "c", "d")]
    group[2].headers = b"[no json"

    async def scenario(inbox: Inbox) -> None:
        outcomes = await inbox.store(group)
        assert list(outcomes) == [group[2].id]
        assert isinstance(outcomes[group[2].id], Unavailable)

    with_inbox(database, scenario)
    with database.session(read_only=True) as session:
        assert set(session.exec(select(col(DeliveryRow.delivery_key)))) == {"a", "b", "d"}
    database.dispose()


def test_a_database_without_tables_is_unavailable(
    empty_sqlite_url: str, empty_postgres_url: str
) -> None:
    async def scenario(inbox: Inbox) -> None:
        with pytest.raises(Unavailable):
            await inbox.connect()

    for url in (empty_sqlite_url, empty_postgres_url):
        database = Database(url)
        with_inbox(database, scenario)
        database.dispose()


def test_the_door_waits_its_turn_to_write(sqlite_url: str, bell: BellBook) -> None:
    """On SQLite a worker's transaction comes first, and the delivery is stored after it."""
    database = Database(sqlite_url)
    with database.session() as session:
        add_source(session)
    with receiving(database, bell) as receiver:
        answers: list[int] = []
        sending = threading.Thread(target=lambda: answers.append(receiver.send().status_code))
        with database.turn_to_write():
            sending.start()
            sending.join(0.2)
            assert answers == []
        sending.join(10)
        assert answers == [202]
    database.dispose()
