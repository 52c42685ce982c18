"""Workflows over the API: saving documents, their versions, and playing one over stored events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from schemas.configured_tables import ConnectionRow, ScheduleRow, WorkflowRow
from service import backtesting
from service.scheduling import keep_in_step
from service.store.runs import current_versions
from service.tokens import Role
from service.unit_of_work import unit_of_work
from service.versions import Versions
from tests.integration.api.conftest import NOW, QUEUE, Installation, make_event

TELL = """
name: tell
on: [{event: build.failed}]
vars: {room: qa}
steps:
  - {id: tell, uses: slack.message, with: {key: k, text: "${{ vars.room }} ${{ event.subject }}"}}
"""
NIGHTLY = """
name: nightly
on: [{cron: "0 7 * * *", timezone: Europe/Berlin}]
steps: [{id: told, uses: alert.open, with: {key: n, title: night}}]
"""
CALLED = """
name: called
on: [{manual: {inputs: {suite: {type: text, default: smoke}}}}]
steps: [{id: told, uses: alert.open, with: {key: n, title: "${{ inputs.suite }}"}}]
outputs: {key: n}
"""
CALLING = """
name: calling
on: [{event: build.failed}]
steps: [{id: part, call: called, with: {suite: all}}]
"""


def put(
    api: Installation,
    document: str,
    name: str | None = None,
    *,
    role: Role = Role.ADMIN,
    **more: Any,
) -> httpx.Response:
    name = name or document.split("name: ")[1].split(maxsplit=1)[0]
    return api.client.put(
        f"/workflows/{name}",
        json={"document": document, **more},
        headers={"Authorization": f"Bearer {api.token_of(role)}"},
    )


def saved(api: Installation, document: str, **more: Any) -> Any:
    answer = put(api, document, **more)
    assert answer.is_success, answer.text
    return answer.json()


def findings(api: Installation, document: str, name: str | None = None) -> list[dict[str, Any]]:
    answer = put(api, document, name)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: list[dict[str, Any]] = answer.json()["findings"]
    return found


def test_a_document_is_saved_and_read_again_as_it_was_written(api: Installation) -> None:
    answer = put(api, TELL, vars={"room": "dev"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["version"], made["from_file"], made["enabled"]) == (1, False, True)
    assert (made["source_text"], made["vars"], made["mode"]) == (TELL, {"room": "dev"}, "live")
    assert api.get("/workflows/tell") == made
    with api.database.session(read_only=True) as session:
        [(row, version)] = current_versions(session)
        assert Versions(current_versions).open(row.name, version).vars == {"room": "dev"}


def test_a_new_version_is_made_only_when_something_differs(api: Installation) -> None:
    assert put(api, TELL).status_code == 201
    api.now[0] += timedelta(hours=1)
    assert put(api, TELL).status_code == 200
    assert api.get("/workflows/tell")["version"] == 1
    assert saved(api, TELL, vars={"room": "x"})["version"] == 2
    assert saved(api, TELL + "mode: shadow\n")["mode"] == "shadow"
    first = api.get("/workflows/tell/versions", limit=2)
    assert [(row["version"], row["current"]) for row in first["data"]] == [(3, True), (2, False)]
    rest = api.get("/workflows/tell/versions", limit=2, cursor=first["next_cursor"])
    assert [row["version"] for row in rest["data"]] == [1]
    assert (rest["has_more"], rest["data"][0]["created_at"]) == (False, "2026-11-21T12:00:00Z")
    second = api.get("/workflows/tell/versions/2")
    assert (second["source_text"], second["vars"], second["mode"]) == (TELL, {"room": "x"}, "live")
    assert api.get("/workflows/tell/versions/3")["document"]["mode"] == "shadow"


def test_what_is_not_there_is_said(face: Installation) -> None:
    saved(face, TELL)
    for path in ("/workflows/none/versions", "/workflows/none/versions/1"):
        assert "no workflow 'none'" in face.client.get(path).json()["detail"]
    answer = face.client.get("/workflows/tell/versions/7")
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "the workflow tell has no version 7",
    )
    assert face.client.get("/workflows/tell/versions/0").status_code == 422


def test_every_fault_is_told_with_its_place_and_nothing_is_kept(api: Installation) -> None:
    wrong = TELL.replace("slack.message", "slack.mesage").replace("vars.room", "vars.rom")
    found = findings(api, wrong)
    assert [(each["file"], each["line"]) for each in found] == [("document", 6), ("document", 6)]
    assert found[0]["column"] == 22
    assert "did you mean `slack.message`?" in [each["hint"] for each in found]
    assert api.client.get("/workflows/tell").status_code == 404


def test_the_names_of_document_and_address_agree(face: Installation) -> None:
    [finding] = findings(face, TELL, "tale")
    assert (finding["line"], "`tell`" in finding["message"]) == (2, True)


@pytest.mark.parametrize("document", ["", "[", "steps: 7", "name: 'x\\0'", "- a", "null"])
def test_what_is_no_document_is_refused(face: Installation, document: str) -> None:
    assert put(face, document, "tell").status_code == 422


@pytest.mark.parametrize("text", ['"a\\u0000b"', '"\\ud800"'])
def test_what_no_database_keeps_is_refused(api: Installation, text: str) -> None:
    [finding] = findings(api, TELL + f"description: {text}\n")
    assert "no database keeps" in finding["message"]
    assert put(api, TELL, vars={"room": "a\x00"}).status_code == 422


def test_vars_that_the_document_has_not_are_refused(face: Installation) -> None:
    answer = put(face, TELL, vars={"roon": "x"})
    assert answer.status_code == 422
    assert answer.json()["findings"][0]["hint"] == "did you mean `room`?"


def test_connections_are_those_of_the_installation(face: Installation) -> None:
    face.save(
        ConnectionRow(name="slack", vendor="slack", credentials=b"x", updated_at=NOW, options={})
    )
    named = TELL.replace("uses: slack.message", "uses: slack.message, connection: slak")
    assert findings(face, named)[0]["hint"] == "did you mean `slack`?"
    saved(face, named.replace("slak", "slack"))


def test_a_workflow_of_a_file_is_changed_there(api: Installation) -> None:
    api.save(WorkflowRow(name="tell", from_file=True, updated_at=NOW))
    answer = put(api, TELL)
    assert (answer.status_code, "hookwright apply" in answer.json()["hint"]) == (409, True)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_an_administrator_saves(face: Installation, role: Role) -> None:
    assert put(face, TELL, role=role).status_code == 403


def test_a_circle_with_a_workflow_that_is_there_is_refused(api: Installation) -> None:
    emitting = "name: {}\non: [{{event: {}}}]\nsteps: [{{emit: {{type: {}}}}}]\n"
    saved(api, emitting.format("one", "a.begun", "b.begun"))
    [finding] = findings(api, emitting.format("two", "b.begun", "a.begun"))
    assert "would set itself off" in finding["message"]
    assert "one (applied):3" in finding["message"]


def test_calls_fit_what_is_called_also_after_it_has_changed(api: Installation) -> None:
    assert "called" in findings(api, CALLING)[0]["message"]
    saved(api, CALLED)
    saved(api, CALLING)
    [finding] = findings(api, CALLED.replace("suite", "tests"))
    assert "`calling` calls this one" in finding["message"]
    assert (finding["file"], finding["line"]) == ("calling (applied)", 4)
    assert saved(api, CALLED.replace("smoke", "quick"))["version"] == 2


def test_schedules_follow_a_saved_document(api: Installation) -> None:
    versions = Versions(current_versions)

    def schedules() -> list[str]:
        with unit_of_work(api.database, QUEUE) as work:
            keep_in_step(work.session, versions.current(work.session), now=NOW)
            return [row.cron for row in work.session.exec(select(ScheduleRow))]

    saved(api, NIGHTLY)
    assert schedules() == ["0 7 * * *"]
    saved(api, NIGHTLY.replace("0 7", "30 6"))
    assert schedules() == ["30 6 * * *"]


# --- backtests --------------------------------------------------------------------------------


def play(api: Installation, name: str = "tell", **asked: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api.token_of(Role.OPERATOR)}"}
    return api.client.post(f"/workflows/{name}/backtest", json=asked, headers=headers)


def played(api: Installation, **asked: Any) -> Any:
    answer = play(api, **asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def come(api: Installation, count: int, *, ago: timedelta = timedelta(hours=1)) -> None:
    api.save(
        *(
            make_event(
                f"{ago}{n}",
                type="build.failed",
                subject=f"b{n}",
                received_at=NOW - ago,
                source=None,
            )
            for n in range(count)
        )
    )


def test_a_document_is_played_beside_the_present_version(api: Installation) -> None:
    come(api, 3)
    come(api, 1, ago=timedelta(days=8))
    saved(api, TELL)
    changed = TELL.replace(
        "event: build.failed}", "event: build.failed, if: event.subject != 'b0'}"
    )
    report = played(api, document=changed.replace("qa", "dev"), examples=1)
    assert (report["events"], report["runs"]) == (3, {"new": 2, "present": 3})
    assert report["compared"] == {"different": 2, "only_present": 1}
    kinds = {example["kind"]: example for example in report["examples"]}
    assert kinds["different"]["differences"] == [
        {"effect": "tell", "parameter": "text", "present": "qa b1", "new": "dev b1"}
    ]
    assert (report["events_left"], report["note"]) == (0, None)
    assert api.get("/runs")["data"] == []


def test_without_a_document_the_present_version_is_played(api: Installation) -> None:
    come(api, 2)
    saved(api, TELL)
    report = played(api)
    assert report["compared"] == {"same": 2}
    assert report["effects"]["new"] == {"slack.message": 2}
    assert played(api, vars={"room": "x"})["compared"] == {"different": 2}
    assert played(api, until=(NOW - timedelta(days=1)).isoformat())["events"] == 0


def test_what_is_beyond_the_bound_is_said(
    api: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtesting, "MOST_EVENTS", 2)
    come(api, 5)
    report = played(api, document=TELL)
    assert (report["events"], report["events_left"], report["runs"]["new"]) == (2, 3, 2)
    assert "hookwright workflow backtest FILE" in report["note"]


def test_a_wrong_document_or_none_is_said(face: Installation) -> None:
    assert play(face, "none").status_code == 404
    answer = play(face, document=TELL.replace("slack.message", "slack.mesage"))
    assert (answer.status_code, answer.json()["findings"][0]["line"]) == (422, 6)
    assert play(face, since="yesterday").status_code == 422


@pytest.fixture
def others_play() -> Iterator[None]:
    taken = [backtesting._PLACES.acquire() for _ in range(backtesting.AT_ONCE)]
    yield
    for _ in taken:
        backtesting._PLACES.release()


@pytest.mark.usefixtures("others_play")
def test_only_so_many_are_played_at_the_same_time(face: Installation) -> None:
    answer = play(face, document=TELL)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
