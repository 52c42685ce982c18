"""The books tell what is missing, doubled, invented or left; they say nothing of what is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, select

from schemas.configured_tables import SourceRow, WorkflowRow, WorkflowVersionRow
from schemas.ids import new_id
from schemas.run_tables import RunRow
from schemas.states import AlertState, DeliveryState, EffectState
from schemas.tables import AlertRow, DeliveryRow, EffectRow, EventRow
from schemas.workflow import RunStatus
from service.db import Database
from tests.faults.books import Wrong, balance, expected_events, read_rows
from tests.faults.plan import Planned, starting
from tests.faults.sending import Ledger, Sent

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
TELLING = starting(1, "tell", "one", {"channel": "C1"})
ALARMING = starting(2, "alarm", "two", {})


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def done() -> Counter[str]:
    """What the twins did."""
    return Counter({"one/told": 1})


@pytest.fixture
def session(sqlite_url: str, ledger: Ledger) -> Any:
    """Two deliveries that were answered, and all that came of them."""
    database = Database(sqlite_url)
    with database.session() as session:
        source = SourceRow(
            name="ci",
            vendor="generic",
            secrets=b"",
            options={"subject_path": "subject"},
            limits={},
            updated_at=NOW,
        )
        session.add(source)
        for planned in (TELLING, ALARMING):
            _store(session, source, planned, ledger)
        session.add(
            AlertRow(
                key="two",
                state=AlertState.RESOLVED.value,
                severity="warning",
                title="two",
                opened_at=NOW,
                changed_at=NOW,
            )
        )
        session.commit()
        yield session
    database.dispose()


def _store(session: Session, source: SourceRow, planned: Planned, ledger: Ledger) -> None:
    delivery = planned.delivery(NOW)
    row = DeliveryRow(
        source_id=source.id,
        source=source.name,
        vendor=source.vendor,
        delivery_key=planned.key(NOW),
        received_at=NOW,
        headers=[list(pair) for pair in delivery.headers.items],
        body=delivery.body,
        state=DeliveryState.INGESTED.value,
    )
    session.add(row)
    (key,) = expected_events(row, source)
    event = EventRow(
        dedupe_key=key,
        type=f"generic.{planned.event}",
        vendor="generic",
        vendor_type=planned.event,
        delivery_id=row.id,
        subject=planned.subject,
        time=NOW,
        received_at=NOW,
        correlation_id=new_id(),
    )
    session.add(event)
    session.flush()
    _begin(session, event, planned.event)
    sent = Sent(planned, row.delivery_key, delivery.body_digest())
    sent.ids.add(str(row.id))
    ledger.sent["ci", row.delivery_key] = sent


def _begin(session: Session, event: EventRow, workflow: str, replay: int = 0) -> None:
    version = session.exec(select(WorkflowVersionRow.id)).first()
    if version is None:
        owner = WorkflowRow(name=workflow, updated_at=NOW)
        session.add(owner)
        session.flush()
        made = WorkflowVersionRow(
            workflow_id=owner.id, number=1, digest="", document={}, source_text="", created_at=NOW
        )
        session.add(made)
        session.flush()
        version = made.id
    run = RunRow(
        event_id=event.id,
        workflow_version_id=version,
        workflow=workflow,
        replay=replay,
        status=RunStatus.SUCCEEDED.value,
        correlation_id=event.correlation_id,
        created_at=NOW,
    )
    session.add(run)
    session.flush()
    session.add(
        EffectRow(
            key=f"{run.id}:{workflow}:0",
            run_id=run.id,
            step=workflow,
            action="slack.message",
            connection="slack",
            state=EffectState.MADE.value,
            intended_at=NOW,
        )
    )
    session.flush()


def told(session: Session, sqlite_url: str, ledger: Ledger, done: Counter[str]) -> list[Wrong]:
    session.commit()
    return sorted(difference.wrong for difference in balance(read_rows(sqlite_url), ledger, done))


def first(session: Session, table: type[Any]) -> Any:
    return session.exec(select(table)).first()


def remove(table: type[Any]) -> Callable[[Session], None]:
    return lambda session: session.delete(first(session, table))


def change(table: type[Any], **values: Any) -> Callable[[Session], None]:
    def perform(session: Session) -> None:
        row = first(session, table)
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)

    return perform


def begin_again(session: Session) -> None:
    _begin(session, first(session, EventRow), "tell", replay=1)


def add_an_event(session: Session) -> None:
    event = first(session, EventRow)
    copied = event.model_dump(exclude={"id", "dedupe_key"})
    session.add(EventRow(dedupe_key="delivery:of-nobody:1", **copied))


def test_what_is_right_is_not_told(
    session: Session, sqlite_url: str, ledger: Ledger, done: Counter[str]
) -> None:
    assert told(session, sqlite_url, ledger, done) == []


@pytest.mark.parametrize(
    ("sabotage", "expected"),
    [
        pytest.param(remove(DeliveryRow), {Wrong.LOST}, id="a delivery is gone"),
        pytest.param(change(DeliveryRow, body=b"{}"), {Wrong.LOST}, id="a body is another"),
        pytest.param(
            change(DeliveryRow, id=UUID(int=7)), {Wrong.LOST}, id="a delivery has another id"
        ),
        pytest.param(
            change(DeliveryRow, state=DeliveryState.DEAD.value), {Wrong.LEFT}, id="one is dead"
        ),
        pytest.param(
            change(DeliveryRow, delivery_key="of-nobody"),
            {Wrong.LOST, Wrong.INVENTED},
            id="a delivery that nobody sent",
        ),
        pytest.param(remove(EventRow), {Wrong.LOST}, id="an event is gone"),
        pytest.param(add_an_event, {Wrong.INVENTED}, id="an event of nothing"),
        pytest.param(remove(RunRow), {Wrong.LOST}, id="a run is gone"),
        pytest.param(begin_again, {Wrong.DOUBLED}, id="a run began twice"),
        pytest.param(
            change(RunRow, workflow="heal"), {Wrong.LOST, Wrong.INVENTED}, id="the wrong workflow"
        ),
        pytest.param(
            change(RunRow, status=RunStatus.RUNNING.value), {Wrong.LEFT}, id="a run goes on"
        ),
        pytest.param(
            change(RunRow, status=RunStatus.FAILED.value), {Wrong.LEFT}, id="a run has failed"
        ),
        pytest.param(change(RunRow, lease_owner="me"), {Wrong.LEFT}, id="a run is held"),
        pytest.param(
            change(EffectRow, state=EffectState.INTENDED.value), {Wrong.LEFT}, id="an effect hangs"
        ),
        pytest.param(
            change(EffectRow, state=EffectState.IN_DOUBT.value), {Wrong.LEFT}, id="one is in doubt"
        ),
        pytest.param(remove(AlertRow), {Wrong.LOST}, id="an alert is gone"),
        pytest.param(
            change(AlertRow, state=AlertState.OPEN.value), {Wrong.LEFT}, id="an alert is open"
        ),
    ],
)
def test_whatever_is_wrong_in_the_database_is_told(
    session: Session,
    sqlite_url: str,
    ledger: Ledger,
    done: Counter[str],
    sabotage: Callable[[Session], None],
    expected: set[Wrong],
) -> None:
    sabotage(session)

    assert expected <= set(told(session, sqlite_url, ledger, done))


def test_whatever_is_wrong_at_the_twins_is_told(
    session: Session, sqlite_url: str, ledger: Ledger
) -> None:
    for done, expected in (
        (Counter[str](), Wrong.LOST),
        (Counter({"one/told": 2}), Wrong.DOUBLED),
        (Counter({"one/told": 1, "one/heard": 1}), Wrong.INVENTED),
        (Counter({"one/told": 1, "tick/2026-05-06": 1}), Wrong.LOST),
    ):
        assert told(session, sqlite_url, ledger, done) == [expected], done


def test_two_answers_with_two_ids_are_told(
    session: Session, sqlite_url: str, ledger: Ledger, done: Counter[str]
) -> None:
    next(iter(ledger.sent.values())).ids.add(str(new_id()))

    assert told(session, sqlite_url, ledger, done) == [Wrong.DOUBLED]


def test_what_was_not_answered_may_be_stored_or_not(
    session: Session, sqlite_url: str, ledger: Ledger, done: Counter[str]
) -> None:
    sent = next(iter(ledger.sent.values()))
    sent.ids.clear()
    assert told(session, sqlite_url, ledger, done) == []

    unstored = starting(3, "tell", "three", {"channel": "C1"})
    ledger.sent["ci", "three"] = Sent(unstored, "three", "")
    assert told(session, sqlite_url, ledger, done) == []
