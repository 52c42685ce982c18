"""What the product commits survives a crash of PostgreSQL, whatever the server's own default is."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service import db
from service.db import Database, is_outage
from service.queue import UnheardQueue
from service.unit_of_work import unit_of_work
from tests.servers import wait_until


def test_a_commit_is_on_disk_although_the_server_would_wait(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as other:
        assert other.execute("SHOW synchronous_commit").fetchone() == ("off",)
    database = Database(postgres_url)
    with database.session() as session:
        assert session.connection().execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        session.rollback()
        # What is set in a transaction that is rolled back would be forgotten with it.
        assert session.connection().execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    database.dispose()


def test_a_server_whose_machine_is_gone_is_given_up(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        asked = driver.info.get_parameters()
    database.dispose()
    after_s = int(asked["keepalives_idle"]) + int(asked["keepalives_interval"]) * int(
        asked["keepalives_count"]
    )
    assert after_s <= 30
    assert int(asked["tcp_user_timeout"]) <= 30_000


def test_what_a_machine_that_is_gone_had_locked_is_free_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = text("SELECT name FROM marks FOR UPDATE SKIP LOCKED")
    other = Database(postgres_url)
    with unit_of_work(other, UnheardQueue()) as work:
        work.session.execute(text("INSERT INTO marks (name, number) VALUES ('any', 1)"))

    def is_free() -> bool:
        with other.session() as session:
            return session.execute(lock).first() is not None

    assert db.LOCKS_KEPT_S <= 60
    monkeypatch.setattr(db, "LOCKS_KEPT_S", 0.2)
    gone = Database(postgres_url)
    with gone.session() as session:
        assert session.execute(lock).first() is not None
        assert not is_free()
        wait_until(is_free)
        with pytest.raises(DBAPIError) as told:
            session.execute(lock)
    assert is_outage(told.value)
    other.dispose()
    gone.dispose()
