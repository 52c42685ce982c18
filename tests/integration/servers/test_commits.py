"""What the product commits survives a crash of PostgreSQL, whatever the server's own default is."""

from __future__ import annotations

import psycopg
from sqlalchemy import text

from service.db import Database


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
