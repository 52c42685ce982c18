"""A stored delivery is read anew: dead ones start their first runs, others are marked replays."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest

from schemas.evidence_tables import AuditEventRow
from schemas.jobs import IngestOneByOne
from schemas.run_tables import RunRow
from schemas.states import DeliveryState
from schemas.tables import DeliveryRow, EffectRow, EventRow
from service.errors import Conflict, NotFound
from service.ingest import MOST_FAILURES, ingest_one_by_one
from service.losses import MOST_LOSSES
from service.replay import Replayed, foresee, replay_delivery
from service.store.deliveries import lock_received
from service.tokens import Caller, Role
from service.unit_of_work import reading
from tests.integration.engine.installation import Installation

ANN = Caller("ann", Role.OPERATOR, None)
ACTS = """
name: acts
on: [{event: "go*"}]
if: event.facts.count > 1
steps: [{id: once, uses: robot.once}]
"""
LOOKS = """
name: looks
on: [{event: "go*"}]
steps: [{id: natural, uses: robot.natural, with: {name: "${{ event.subject }}"}}]
"""

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what does not depend on the database."""


def replay(installation: Installation, delivery_id: UUID, **more: object) -> Replayed:
    return replay_delivery(installation.runtime, delivery_id, caller=ANN, **more)  # type: ignore[arg-type]


def delivery(installation: Installation, ident: UUID) -> DeliveryRow:
    (row,) = installation.rows(DeliveryRow, DeliveryRow.id == ident)
    return row  # type: ignore[no-any-return]


def runs_of(installation: Installation, workflow: str) -> list[RunRow]:
    return sorted(installation.rows(RunRow, RunRow.workflow == workflow), key=lambda row: row.id)


def test_a_dead_delivery_starts_its_first_run_once_its_cause_is_mended(
    installation: Installation,
) -> None:
    installation.workflow(ACTS)
    delivery_id = installation.deliver(body=json.dumps({"raise": "boom"}).encode())
    for _ in range(MOST_FAILURES):
        installation.ingest(delivery_id)
    dead = delivery(installation, delivery_id)
    assert dead.state == DeliveryState.DEAD
    assert str(dead.fault).startswith("flt_")

    again = replay(installation, delivery_id)
    assert (again.state, again.runs) == (DeliveryState.DEAD, ())
    assert again.fault not in {None, dead.fault}
    assert delivery(installation, delivery_id).due_at is None

    mended = {"events": [{"type": "go", "facts": {"count": 2}}]}
    with installation.database.turn_to_write(), installation.database.session() as session:
        session.get_one(DeliveryRow, delivery_id).body = json.dumps(mended).encode()
        session.commit()
    assert foresee(installation.runtime, delivery_id).first == ("acts",)
    done = replay(installation, delivery_id)
    row = delivery(installation, delivery_id)
    assert (row.state, row.error, row.fault, row.replays) == ("ingested", None, None, 2)
    (run,) = done.runs
    assert (run.replay, run.started_by, done.stored) == (0, "ann", 1)
    assert [event.action for event in installation.rows(AuditEventRow)] == ["delivery.replay"] * 2


def test_a_delivery_that_was_read_is_acted_upon_once_more_and_marked(
    installation: Installation,
) -> None:
    installation.workflow(ACTS)
    installation.workflow(LOOKS)
    delivery_id = installation.deliver(
        {"type": "go", "subject": "s", "facts": {"count": 2}},
        {"type": "go", "subject": "t", "facts": {"count": 1}},
    )
    installation.ingest(delivery_id)
    installation.carry_on()
    assert foresee(installation.runtime, delivery_id).again == ("acts", "looks", "looks")

    replay(installation, delivery_id)
    done = replay(installation, delivery_id, only="acts")
    installation.carry_on()
    assert [(run.replay, run.started_by) for run in runs_of(installation, "acts")] == [
        (0, None),
        (1, "ann"),
        (2, "ann"),
    ]
    assert [run.id for run in done.runs] == [runs_of(installation, "acts")[-1].id]
    assert sorted(run.replay for run in runs_of(installation, "looks")) == [0, 0, 1, 1]
    assert len(installation.rows(EventRow)) == 2
    made = [effect.action for effect in installation.rows(EffectRow)]
    assert (made.count("robot.once"), made.count("robot.natural")) == (3, 2)


def test_the_same_key_replays_once(installation: Installation) -> None:
    installation.workflow(LOOKS)
    delivery_id = installation.deliver({"type": "go", "subject": "s"})
    installation.ingest(delivery_id)
    first = replay(installation, delivery_id, key="k")
    again = replay(installation, delivery_id, key="k")
    assert [run.id for run in again.runs] == [run.id for run in first.runs]
    assert again.events == first.events == 1
    replay_delivery(
        installation.runtime, delivery_id, caller=Caller("bob", Role.ADMIN, None), key="k"
    )
    installation.now += timedelta(hours=25)
    replay(installation, delivery_id, key="k")
    assert sorted(run.replay for run in runs_of(installation, "looks")) == [0, 1, 2, 3]


@on_sqlite
def test_a_trial_in_shadow_changes_nothing_outside(installation: Installation) -> None:
    installation.workflow(ACTS)
    delivery_id = installation.deliver({"type": "go", "facts": {"count": 2}})
    installation.ingest(delivery_id)
    installation.carry_on()
    replay(installation, delivery_id, shadow=True)
    installation.carry_on()
    assert len(installation.script.calls) == 1
    assert [run.shadow for run in runs_of(installation, "acts")] == [False, True]

    dead = installation.deliver({"type": "go", "facts": {"count": 2}})
    with installation.database.turn_to_write(), installation.database.session() as session:
        session.get_one(DeliveryRow, dead).state = DeliveryState.DEAD
        session.commit()
    with pytest.raises(Conflict, match="never"):
        replay(installation, dead, shadow=True)
    assert delivery(installation, dead).state == DeliveryState.DEAD


@on_sqlite
def test_what_cannot_be_read_any_more_stays_as_it_was(installation: Installation) -> None:
    delivery_id = installation.deliver({"type": "go", "facts": {}})
    installation.ingest(delivery_id)
    with installation.database.turn_to_write(), installation.database.session() as session:
        session.get_one(DeliveryRow, delivery_id).body = b"{"
        session.commit()
    with pytest.raises(Conflict, match="any more"):
        replay(installation, delivery_id)
    row = delivery(installation, delivery_id)
    assert (row.state, row.error, row.replays) == ("ingested", None, 0)


@on_sqlite
def test_what_workers_were_lost_with_is_read_by_a_worker_and_by_nobody_else(
    installation: Installation,
) -> None:
    installation.workflow(ACTS)
    delivery_id = installation.deliver({"type": "go", "facts": {"count": 2}})
    with installation.database.turn_to_write(), installation.database.session() as session:
        row = session.get_one(DeliveryRow, delivery_id)
        row.state, row.losses = DeliveryState.DEAD, MOST_LOSSES + 1
        session.commit()
    handed = replay(installation, delivery_id)
    assert (handed.state, handed.runs) == (DeliveryState.RECEIVED, ())
    assert installation.bell.rung == [IngestOneByOne((delivery_id,))]
    assert ingest_one_by_one(installation.runtime, [delivery_id]) == 1
    assert delivery(installation, delivery_id).state == DeliveryState.INGESTED
    assert len(runs_of(installation, "acts")) == 1


@on_sqlite
def test_what_is_on_its_way_or_unknown_is_refused(installation: Installation) -> None:
    delivery_id = installation.deliver({"type": "go", "facts": {}})
    with pytest.raises(Conflict, match="on its way"):
        replay(installation, delivery_id)
    with pytest.raises(NotFound, match="delivery"):
        replay(installation, UUID(int=1))
    installation.ingest(delivery_id)
    with pytest.raises(NotFound, match="workflow 'none'"):
        replay(installation, delivery_id, only="none")
    installation.now += timedelta(hours=1)
    with reading(installation.database) as session:
        assert lock_received(session, [delivery_id]) == []
