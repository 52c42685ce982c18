"""The ledger over the API: what is in doubt is found, and looked up once more when asked for."""

from __future__ import annotations

import pytest

from schemas.ids import new_id
from schemas.tables import EffectRow
from tests.integration.api.conftest import NOW, Installation
from tests.integration.api.test_conventions import is_problem
from tests.integration.api.test_deciding import make_doubt, post


def save_effect(installation: Installation, **values: object) -> EffectRow:
    fields = {
        "key": f"key-{new_id()}",
        "step": "tell",
        "action": "slack.message",
        "connection": "slack",
        "state": "made",
        "intended_at": NOW,
        **values,
    }
    row = EffectRow.model_validate(fields)
    installation.save(row)
    return row


def test_what_is_in_doubt_is_listed_with_its_run(api: Installation) -> None:
    run = make_doubt(api)
    save_effect(api)
    (found,) = api.get("/effects", state="in_doubt")["data"]
    assert (found["run_id"], found["workflow"]) == (str(run.id), run.workflow)
    assert (found["path"], found["action"]) == ("heal", "checksum.auto_heal")
    assert found["error"] == "the answer never came"
    assert api.get(f"/effects/{found['id']}") == found


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ({"action": "slack.*"}, 1),
        ({"connection": "github"}, 0),
        ({"since": "2026-11-21T12:00:01Z"}, 0),
        ({"until": "2026-11-21T12:00:01Z"}, 1),
    ],
)
def test_effects_are_narrowed(api: Installation, question: dict[str, str], count: int) -> None:
    save_effect(api)
    assert len(api.get("/effects", **question)["data"]) == count


def test_an_effect_whose_run_was_removed_is_still_read(api: Installation) -> None:
    row = save_effect(api, run_id=new_id())
    found = api.get(f"/effects/{row.id}")
    assert (found["run_id"], found["workflow"], found["path"]) == (None, None, "tell")


def test_a_step_in_doubt_is_looked_up_once_more(api: Installation) -> None:
    run = make_doubt(api, "slack.message")
    answer = post(api, f"/runs/{run.id}/steps/heal/look-up")
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["status"], told["wait"]) == ("pending", None)
    assert [effect["state"] for effect in told["effects"]] == ["intended"]
    is_problem(post(api, f"/runs/{run.id}/steps/heal/look-up"), 409)


def test_what_no_vendor_can_tell_is_left_to_people(api: Installation) -> None:
    run = make_doubt(api)
    told = is_problem(post(api, f"/runs/{run.id}/steps/heal/look-up"), 409)
    assert told["detail"] == "checksum.auto_heal cannot be looked up"
    assert f"hookwright run settle {run.id} heal" in told["hint"]
    assert [row["state"] for row in api.get("/effects")["data"]] == ["in_doubt"]


def test_what_is_not_there_cannot_be_looked_up(api: Installation) -> None:
    run = make_doubt(api)
    is_problem(post(api, f"/runs/{run.id}/steps/other/look-up"), 404)
    is_problem(post(api, f"/runs/{new_id()}/steps/heal/look-up"), 404)
