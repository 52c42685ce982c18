"""The servers that every other test stands on."""

from __future__ import annotations

import psycopg
import pytest
import redis
from sqlmodel import select

from schemas.clock import utc_now
from schemas.upkeep_tables import MarkRow
from service.db import Database
from service.errors import Unavailable
from tests.servers import PostgresServer, RedisServer


def test_a_database_is_fresh_and_keeps_rows(database: Database) -> None:
    with database.session() as session:
        assert session.exec(select(MarkRow)).all() == []
        session.add(MarkRow(name="sources", number=7))
        session.commit()
    with database.session(read_only=True) as session:
        assert session.exec(select(MarkRow.number)).one() == 7


def test_the_next_test_sees_nothing_of_it(database: Database) -> None:
    test_a_database_is_fresh_and_keeps_rows(database)


def test_postgres_is_version_18(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.url()) as connection:
        assert connection.info.server_version // 10000 == 18


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_postgres_can_be_taken_away_and_comes_back(
    postgres_server: PostgresServer, way: str
) -> None:
    database = Database(postgres_server.url())
    database.ping()
    getattr(postgres_server, way)()
    with pytest.raises(Unavailable):
        database.ping()
    postgres_server.start()
    database.ping()
    database.dispose()


def test_redis_keeps_what_it_holds_over_a_stop(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.set("when", utc_now().isoformat())
    redis_server.stop()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    redis_server.start()
    assert client.exists("when")
    client.close()


def test_namespaces_are_apart(redis_url: str, redis_namespace: str) -> None:
    client = redis.Redis.from_url(redis_url)
    client.set(f"{redis_namespace}:x", 1)
    assert len(list(client.scan_iter(f"{redis_namespace}*"))) == 1
    client.close()
