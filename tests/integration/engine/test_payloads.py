"""Large payloads and outputs stand apart, and are there for whoever reads them."""

from __future__ import annotations

from sqlalchemy import text as sql

from schemas.compact import COMPRESSED_FROM_BYTES
from schemas.run_tables import StepRow
from schemas.tables import EffectRow, EventRow, PayloadRow
from schemas.workflow import RunStatus
from service.db import Database
from service.store import details
from service.store.payloads import LARGE_BYTES, keep_output, output_of
from tests.integration.engine.installation import START, Installation

TEXT = "x" * LARGE_BYTES


def workflow(condition: str, name: str) -> str:
    return f"""
name: one
on: [{{event: go}}]
if: {condition}
steps:
  - {{id: only, uses: robot.once, with: {{name: "{name}"}}}}
"""


def test_a_large_payload_stands_apart_and_is_read_by_who_asks(installation: Installation) -> None:
    installation.workflow(
        workflow(
            "event.payload.size == 7", "${{ event.payload.size }} ${{ size(event.payload.text) }}"
        )
    )
    run_id = installation.start(text=TEXT, size=7)
    (event,) = installation.rows(EventRow)
    assert event.payload is None
    (apart,) = installation.rows(PayloadRow)
    assert apart.id == event.payload_id
    assert len(apart.content) < 1000
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert [row.params["name"] for row in installation.rows(EffectRow)] == [f"7 {LARGE_BYTES}"]
    with installation.database.session(read_only=True) as session:
        story = details.read_event(session, event.id)
        assert story.row.payload == {"type": "go", "text": TEXT, "size": 7}


def test_a_small_payload_stays_with_its_event(installation: Installation) -> None:
    installation.workflow(workflow("true", "x"))
    installation.start(text="short")
    (event,) = installation.rows(EventRow)
    assert event.payload == {"type": "go", "text": "short"}
    assert installation.rows(PayloadRow) == []


def test_a_long_payload_takes_little_room(installation: Installation) -> None:
    installation.workflow(workflow("event.payload.text.startsWith('é')", "x"))
    text = "é" * (COMPRESSED_FROM_BYTES - 1)
    run_id = installation.start(text=text)
    (event,) = installation.rows(EventRow)
    assert event.payload == {"type": "go", "text": text}
    length = "length(payload)" if installation.database.is_sqlite else "pg_column_size(payload)"
    with installation.database.session(read_only=True) as session:
        stored = session.execute(sql(f"SELECT {length} FROM events")).scalar_one()  # noqa: S608  # above
    assert stored < len(text) / 10
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED


def test_a_repeated_event_leaves_no_second_payload(installation: Installation) -> None:
    for _ in range(2):
        installation.ingest(installation.deliver({"type": "go", "fact": "same", "text": TEXT}))
    assert len(installation.rows(EventRow)) == 1
    assert len(installation.rows(PayloadRow)) == 1


def test_an_output_that_grows_stands_apart_and_is_kept_once(
    database: Database, installation: Installation
) -> None:
    installation.workflow(workflow("true", "x"))
    run_id = installation.start()
    installation.carry_on()
    step_id = installation.step(run_id, "only").id
    for output in ({"value": TEXT}, {"value": TEXT + "y"}):
        with database.turn_to_write(), database.session() as session:
            keep_output(session, session.get_one(StepRow, step_id), output, now=START)
            session.commit()
        with database.session(read_only=True) as session:
            row = session.get_one(StepRow, step_id)
            assert row.output is None
            assert output_of(session, row) == output
    assert len(installation.rows(PayloadRow)) == 1


def test_a_branch_reads_what_only_its_template_names(installation: Installation) -> None:
    installation.workflow("""
name: each
on: [{event: go}]
steps:
  - {id: first, uses: robot.once, with: {name: "${{ event.payload.text }}"}}
  - for_each: "[1]"
    steps:
      - {id: told, uses: robot.once, with: {name: {template: note}}}
templates:
  note: "{{ event.payload.text | length }}"
""")
    run_id = installation.start(text=TEXT)
    installation.carry_on()
    assert installation.run(run_id).status == RunStatus.SUCCEEDED
    assert installation.every_effect()[-1].params == {"name": str(LARGE_BYTES)}


def test_gathered_events_are_there_for_who_reads_them(installation: Installation) -> None:
    installation.workflow("""
name: gathers
on: [{event: go}]
coalesce: {within: 1m}
steps:
  - {id: plain, uses: robot.once, with: {name: "${{ event.type }}"}}
  - for_each: "[1]"
    steps:
      - {id: told, uses: robot.once, with: {name: {template: note}}}
templates:
  note: "{{ events | length }}"
""")
    for text in ("a", "b"):
        installation.ingest(installation.deliver({"type": "go", "text": text}))
    installation.carry_on()
    assert [row.params["name"] for row in installation.every_effect()] == ["go", "2"]
