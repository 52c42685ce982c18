"""A running door learns of changed sources within two seconds, and asks the database for none."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import event
from sqlmodel import select

from schemas.configured_tables import SourceRow
from service.source_secrets import seal_secrets
from service.store.sources import bump_sources_mark
from service.vendors.base import Secret
from tests.integration.door.receiver import BOX, BellBook, Receiver, add_source, receiving
from tests.servers import wait_until

SEEN_WITHIN_S = 5.0


def change(receiver: Receiver, source: str = "github", /, **changes: object) -> None:
    with receiver.database.session() as session:
        row = session.exec(select(SourceRow).where(SourceRow.name == source)).one()
        for field, value in changes.items():
            setattr(row, field, value)
        session.add(row)
        bump_sources_mark(session)
        session.commit()


def test_a_source_added_a_moment_ago_works_at_once(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        add_source(session, "new")
    assert receiver.send(path="/hooks/new").status_code == 202


def test_a_disabled_source_takes_nothing_and_an_enabled_one_does(receiver: Receiver) -> None:
    change(receiver, enabled=False)
    wait_until(lambda: receiver.send().status_code == 404, SEEN_WITHIN_S)
    change(receiver, enabled=True)
    wait_until(lambda: receiver.send().status_code == 202, SEEN_WITHIN_S)


def test_a_renamed_source_keeps_what_it_received(receiver: Receiver) -> None:
    given = receiver.send("one").json()["id"]
    change(receiver, "github", name="code")
    wait_until(lambda: receiver.send().status_code == 404, SEEN_WITHIN_S)
    answer = receiver.send("one", path="/hooks/code")
    assert (answer.status_code, answer.json()["id"]) == (200, given)


def test_a_rotated_secret_counts_and_the_old_one_no_longer(receiver: Receiver) -> None:
    change(receiver, secrets=seal_secrets(BOX, [Secret("fresh-secret")]))
    wait_until(lambda: receiver.send(secret="fresh-secret").status_code == 202, SEEN_WITHIN_S)
    assert receiver.send().status_code == 401


def test_a_removed_source_is_unknown(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        session.delete(session.exec(select(SourceRow)).one())
        bump_sources_mark(session)
        session.commit()
    wait_until(lambda: receiver.send().status_code == 404, SEEN_WITHIN_S)


def test_a_row_that_cannot_be_used_closes_itself_alone(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        add_source(session, "odd-options", options={"no_such_option": 1})
        add_source(session, "odd-limits", limits={"per_second": -1})
        add_source(session, "odd-vendor", "nobody")
        add_source(session, "odd-secrets")
    change(receiver, "odd-secrets", secrets=b"sealed with another key")
    for name in ("odd-options", "odd-limits", "odd-vendor", "odd-secrets"):
        wait_until(
            lambda name=name: receiver.send(path=f"/hooks/{name}").status_code == 404,  # type: ignore[misc]
            SEEN_WITHIN_S,
        )
    assert receiver.send().status_code == 202


def test_the_rate_goes_on_when_another_source_changes(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        add_source(session, "slow", limits={"per_second": 0.001, "burst": 1})
    assert receiver.send(path="/hooks/slow").status_code == 202
    with receiver.database.session() as session:
        add_source(session, "other")
    wait_until(lambda: receiver.send(path="/hooks/other").status_code == 202, SEEN_WITHIN_S)
    assert receiver.send(path="/hooks/slow").status_code == 429


def test_neither_deliveries_nor_unknown_names_cost_queries(receiver: Receiver) -> None:
    queries: list[str] = []
    engine = receiver.database.engine

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        queries.append(statement)

    event.listen(engine, "before_cursor_execute", keep)
    began = time.monotonic()
    for number in range(60):
        receiver.send(str(number))
        receiver.send(path=f"/hooks/unknown-{number}")
    took = time.monotonic() - began
    event.remove(engine, "before_cursor_execute", keep)
    about_sources = [query for query in queries if "marks" in query or "FROM sources" in query]
    # Twice a second by itself and once for the unknown names, and some to begin.
    assert len(about_sources) <= 3 * took + 4


def test_sources_are_read_when_there_were_none(receiver: Receiver) -> None:
    with receiver.database.session() as session:
        for row in session.exec(select(SourceRow)).all():
            session.delete(row)
        bump_sources_mark(session)
        session.commit()
    with receiving(receiver.database, BellBook()) as second:
        assert second.send().status_code == 404
        with receiver.database.session() as session:
            add_source(session)
        wait_until(lambda: second.send().status_code == 202, SEEN_WITHIN_S)
