"""A list reads a page, and not the table: whatever it is narrowed by, however much is stored."""
# ruff: noqa: S608, ISC004  # statements of a test, of several lines

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from schemas.api import Question, TimedQuestion
from schemas.api_alerts import AlertQuestion
from schemas.api_deliveries import DeliveryQuestion, DeliverySearch, RejectionQuestion
from schemas.api_events import EventQuestion
from schemas.api_runs import BranchQuestion, RunQuestion
from schemas.auditing import AuditFilter
from schemas.bulk import BulkQuestion
from schemas.clock import utc_now
from schemas.effect_lists import EffectQuestion
from schemas.reconciling import ReconciliationQuestion
from schemas.statistics import CountOut
from service.db import Database, Session
from service.store import counting, listing, searching
from service.store.audit import list_audit_events
from service.store.effects import list_effects
from service.store.listing import list_alerts, list_deliveries, list_events, list_runs
from service.unit_of_work import reading

ROWS = 5_000
MOST = {False: 3_000, True: 15_000}
"""What a page may cost: rows read by PostgreSQL, or steps taken by SQLite. Going through a table of
so many rows takes more than that."""
NOW = utc_now().replace(microsecond=0)
LATE = NOW - timedelta(days=1)
RARE = "rare"
STEPS_AT_ONCE = 100
READ = text(
    "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
    " WHERE relname ~ '^(events|deliveries|runs|effects|audit_events|alerts)'"
)

LISTS: tuple[tuple[Callable[..., Any], type[Question], Mapping[str, Any]], ...] = (
    (
        list_events,
        EventQuestion,
        {
            "type": RARE,
            "vendor": "v1",
            "source": "s1",
            "subject": "subject-7",
            "search": "word3 often",
            "since": LATE,
            "until": LATE,
        },
    ),
    (list_events, EventQuestion, {"type": "t*", "search": "rare"}),
    (
        list_deliveries,
        DeliverySearch,
        {"source": RARE, "vendor": "v1", "state": "dead", "since": LATE, "until": LATE},
    ),
    (
        list_runs,
        RunQuestion,
        {
            "workflow": "w1",
            "status": "failed",
            "event": UUID(int=1),
            "waiting_for": "approval",
            "since": LATE,
            "until": LATE,
        },
    ),
    (
        list_effects,
        EffectQuestion,
        {
            "state": "in_doubt",
            "action": "a1*",
            "connection": "c1",
            "run": UUID(int=1),
            "since": LATE,
            "until": LATE,
        },
    ),
    (
        list_audit_events,
        AuditFilter,
        {"by": "p1", "action": "a1*", "subject": "subject-7", "since": LATE, "until": LATE},
    ),
    (
        list_alerts,
        AlertQuestion,
        {"state": "open", "severity": "critical", "key": "k7", "since": LATE, "until": LATE},
    ),
)
SMALL = {
    TimedQuestion,
    DeliveryQuestion,
    BranchQuestion,
    BulkQuestion,
    ReconciliationQuestion,
    RejectionQuestion,
}
"""Questions for lists that stay small or are those of one run, and what others begin with."""


@pytest.fixture
def filled(database: Database) -> Database:
    """Many rows of each large list, of the last two days, evenly."""
    fill(database)
    return database


@pytest.fixture
def sqlite_filled(sqlite_database: Database) -> Database:
    """The same on SQLite, which knows nothing of how frequent values are."""
    fill(sqlite_database)
    return sqlite_database


@pytest.fixture
def postgres_filled(postgres_database: Database) -> Database:
    """The same on PostgreSQL, whose index knows no order."""
    fill(postgres_database)
    return postgres_database


def fill(database: Database) -> None:
    is_sqlite = database.is_sqlite
    start = int((NOW - timedelta(days=2)).timestamp() * 1000)
    ms = f"({start} + i * {2 * 86_400_000 // ROWS})"
    if is_sqlite:
        rows = (
            f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
            " SELECT i FROM n)"
        )
        ident = f"printf('%012x70008%015x', {ms}, i)"
        time = f"strftime('%Y-%m-%d %H\\:%M\\:%f000', {ms} / 1000.0, 'unixepoch')"
        empty, some = "'{}'", """'{"t"\\: "word' || (i % 9) || ' often"}'"""
        body, none, other = "x'00'", f"'{UUID(int=9).hex}'", f"'{UUID(int=8).hex}'"
    else:
        rows = f"generate_series(CAST(1 AS bigint), {ROWS})"
        ident = f"CAST(lpad(to_hex({ms}), 12, '0') || '70008' || lpad(to_hex(i), 15, '0') AS uuid)"
        time = f"to_timestamp({ms} / 1000.0)"
        empty, some = (
            "CAST('{}' AS jsonb)",
            "jsonb_build_object('t', 'word' || (i % 9) || ' often')",
        )
        body = "CAST('' AS bytea)"
        none, other = (f"CAST('{UUID(int=at)}' AS uuid)" for at in (9, 8))
    source = f"CASE i % 500 WHEN 0 THEN '{RARE}' ELSE 's' || (i % 3) END"
    statements = (
        "deliveries (id, source_id, source, vendor, delivery_key, received_at, headers, body,"
        f" state, failures) SELECT {ident}, {none}, {source}, 'v' || (i % 3), 'k' || i, {time},"
        f" {empty}, {body}, CASE i % 700 WHEN 0 THEN 'dead' ELSE 'ingested' END, 0",
        "events (id, dedupe_key, type, vendor, vendor_type, source, subject, time, received_at,"
        f" facts, correlation_id) SELECT {ident}, 'k' || i, CASE i % 900 WHEN 0 THEN '{RARE}'"
        f" ELSE 't' || (i % 5) END, 'v' || (i % 3), 'x', {source}, 'subject-' || (i % 600),"
        f" {time}, {time}, {some}, {ident}",
        "effects (id, key, step, action, connection, state, params, calls, intended_at)"
        f" SELECT {ident}, 'k' || i, 's', 'a' || (i % 4), 'c' || (i % 2),"
        f" CASE i % 800 WHEN 0 THEN 'in_doubt' ELSE 'made' END, {empty}, 1, {time}",
        'audit_events (id, at, "by", role, action, subject, details)'
        f" SELECT {ident}, {time}, 'p' || (i % 3), 'viewer', 'a' || (i % 4),"
        f" 'subject-' || (i % 600), {empty}",
        "runs (id, workflow_version_id, workflow, replay, status, shadow, cancel_requested,"
        " correlation_id, created_at, failures)"
        f" SELECT {ident}, {none}, 'w' || (i % 4), 0,"
        f" CASE i % 700 WHEN 0 THEN 'failed' ELSE 'succeeded' END, false, false, {none}, {time}, 0",
        "alerts (id, key, state, severity, title, details, opened_at, changed_at, changes)"
        f" SELECT {ident}, 'k' || i, CASE i % 800 WHEN 0 THEN 'open' ELSE 'resolved' END,"
        f" CASE i % 700 WHEN 0 THEN 'critical' ELSE 'warning' END, 't', {empty}, {time}, {time}, 1",
    )
    version = (
        "sources (id, name, vendor, secrets, options, limits, enabled, from_file, updated_at)"
        f" SELECT {none}, 's0', 'v0', {body}, {empty}, {empty}, true, true, {time}",
        "sources (id, name, vendor, secrets, options, limits, enabled, from_file, updated_at)"
        f" SELECT {other}, 's1', 'v1', {body}, {empty}, {empty}, true, true, {time}",
        "workflows (id, name, enabled, from_file, updated_at)"
        f" SELECT {none}, 'w', true, false, {time}",
        "workflow_versions (id, workflow_id, number, digest, document, vars, source_text,"
        f" created_at) SELECT {none}, {none}, 1, '', {empty}, {empty}, '', {time}",
    )
    with database.engine.begin() as connection:
        for statement in version:
            connection.execute(text(f"INSERT INTO {statement} FROM (SELECT 1 AS i) AS n"))
        for statement in statements:
            connection.execute(
                text(
                    f"INSERT INTO {statement} FROM {rows} AS n (i)".replace(
                        "AS n (i)", "AS n" if is_sqlite else "AS n (i)"
                    )
                )
            )
        # What workers note as they read deliveries.
        connection.execute(
            text(
                "INSERT INTO kinds (listed, one, two, three)"
                " SELECT DISTINCT 'deliveries', vendor, source, '' FROM deliveries"
            )
        )
        if not is_sqlite:
            connection.execute(text("ANALYZE"))


def test_a_page_reads_few_rows(filled: Database) -> None:
    read = {
        (kind.__name__, *names): cost_of(
            filled, ask, kind(**{name: values[name] for name in names})
        )
        for ask, kind, values in LISTS
        for names in chosen(values)
    }
    # What goes through a table is seen.
    assert cost_of(filled, go_through, EventQuestion()) > MOST[filled.is_sqlite]
    assert {asked: cost for asked, cost in read.items() if cost > MOST[filled.is_sqlite]} == {}


def test_what_nobody_has_is_known_at_once(filled: Database) -> None:
    with filled.engine.begin() as connection:
        # A source that is gone, and of which nothing was read.
        connection.execute(text("DELETE FROM kinds WHERE listed = 'deliveries'"))
    asked = DeliverySearch(vendor="nobody")
    assert cost_of(filled, list_deliveries, asked) < MOST[filled.is_sqlite]


def test_a_key_is_sought_by_itself_and_then_in_a_portion(
    sqlite_filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "KEYS_AT_ONCE", 100)
    monkeypatch.setattr(listing, "MOST_FOR_KEYS", 400)
    monkeypatch.setattr(listing, "FEWEST_KEYS_AT_ONCE", 10)
    for narrowed in ({}, {"state": "ingested"}, {"source": "s1"}, {"vendor": "v1"}):
        asked = DeliverySearch.model_validate({"q": "nowhere", **narrowed})
        assert cost_of(sqlite_filled, list_deliveries, asked) < MOST[True]


def test_a_frequent_word_is_counted_by_a_sample(
    postgres_filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "COUNTED", 100)
    monkeypatch.setattr(counting, "SURELY_MORE", 300)
    found: list[CountOut] = []

    def count(session: Session, question: EventQuestion) -> None:
        found.append(counting.count_events(session, question, NOW))

    # A third of the newest thousand events has both.
    cost = cost_of(postgres_filled, count, EventQuestion(search="often", vendor="v1"))
    assert cost <= searching.WINDOW + 100
    (told,) = found
    assert told.estimated
    assert told.count == pytest.approx(ROWS / 3, rel=0.05)


def test_what_is_not_so_frequent_is_sought_among_more_of_the_newest(
    postgres_filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "WINDOW", 100)
    # A ninth of the events has it: the newest hundred not enough, and all are many.
    asked = EventQuestion(search="word3")
    assert cost_of(postgres_filled, list_events, asked) < ROWS / 9


def test_every_question_is_known_to_be_large_or_small() -> None:
    assert {kind for _, kind, _ in LISTS} | SMALL == set(kinds_of(Question))


def go_through(session: Session, _question: Question) -> None:
    session.execute(text("SELECT count(*) FROM events WHERE vendor_type <> 'y'"))


def kinds_of(kind: type[Question]) -> Iterator[type[Question]]:
    for one in kind.__subclasses__():
        yield one
        yield from kinds_of(one)


def chosen(values: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Nothing, each filter by itself, every two of them, and all."""
    for size in (0, 1, 2, len(values)):
        yield from combinations(values, size)


def cost_of(database: Database, ask: Callable[..., Any], question: Question) -> int:
    """Give how many rows a list reads (PostgreSQL), or how many steps it takes (SQLite)."""
    with reading(database) as session:
        if not database.is_sqlite:
            # Tables of a test are small enough to be read as a whole, were that allowed.
            session.execute(text("SET LOCAL enable_seqscan = off"))
            before = int(session.execute(READ).scalar_one() or 0)
            ask(session, question)
            return int(session.execute(READ).scalar_one()) - before
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += STEPS_AT_ONCE
            return 0

        driver: Any = session.connection().connection.driver_connection
        driver.set_progress_handler(count, STEPS_AT_ONCE)
        ask(session, question)
        driver.set_progress_handler(None, 0)
        return steps
