"""Cases: their steps, their history, their baselines (vendors.md §1.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from pydantic import AliasChoices, Field

from schemas.events import Json
from service.errors import VendorBroken
from service.http import path_of
from service.vendors.reading import Flag, Payload, Text, Time, Whole, as_list
from service.vendors.vibeview.api.calling import Calls, rows_of
from service.vendors.vibeview.api.runs import RunRecord

_JPEG = b"\xff\xd8"


class CaseChanges(TypedDict, total=False):
    """What of a case is changed.

    `app_id` and `is_reusable` are refused for a case that belongs to a suite.
    """

    name: str
    steps: Sequence[Json]
    assertions: Sequence[Json]
    context: str
    app_id: str
    sub_flow_ids: Sequence[str]
    source_recording: Json
    fuzzy_match: bool
    is_reusable: bool


class Case(Payload):
    """A test case; steps and assertions are what VibeView keeps, objects or texts."""

    public_id: Text = Field(default=None, validation_alias=AliasChoices("public_id", "id"))
    name: Text = None
    mode: Text = None
    steps: Any = ()
    assertions: Any = ()
    step_count: Whole = None
    has_source_recording: Flag = None
    context: Text = None
    is_reusable: Flag = None

    def step_list(self) -> list[Json]:
        """Give the steps; none when they are no list."""
        return as_list(self.steps)


class Baseline(Payload):
    """The picture a step is compared with."""

    id: Text = None
    step_index: Whole = Field(
        default=None, validation_alias=AliasChoices("step_index", "step", "index")
    )
    image_url: Text = Field(default=None, validation_alias=AliasChoices("image_url", "url"))
    created_at: Time = None
    updated_at: Time = None


class CaseCalls(Calls):
    """Test cases of the token's organisation."""

    def all(self, *, reusable: bool | None = None) -> list[Case]:
        """Give the cases; only those that are reusable, or are not, when asked."""
        params = {"reusable": None if reusable is None else str(reusable).lower()}
        return rows_of(self._get("/tests/cases", params, role="viewer"), Case, "cases")

    def one(self, case_id: str) -> Case:
        """Give a case with its steps."""
        return self._get(f"/tests/cases{path_of(case_id)}", role="viewer").read(Case)

    def change(self, case_id: str, **changes: Unpack[CaseChanges]) -> Case:
        """Change what is named; given twice, it ends where doing it once does."""
        body: Mapping[str, Json] = dict(changes)
        path = f"/tests/cases{path_of(case_id)}"
        return self._ask("PATCH", path, json=body, safe=True).read(Case)

    def delete(self, case_id: str) -> None:
        """Delete a case."""
        self._ask("DELETE", f"/tests/cases{path_of(case_id)}")

    def runs(self, case_id: str) -> list[RunRecord]:
        """Give the runs of a case, newest first."""
        answer = self._get(f"/tests/cases{path_of(case_id)}/runs", role="viewer")
        return rows_of(answer, RunRecord, "runs")

    def create_run_record(self, case_id: str) -> RunRecord:
        """Make a run that is only a record in the state `pending`: nothing is executed."""
        return self._ask("POST", f"/tests/cases{path_of(case_id)}/run").read(RunRecord)

    def baselines(self, case_id: str) -> list[Baseline]:
        """Give the pictures the case's steps are compared with."""
        answer = self._get(f"/tests/cases{path_of(case_id)}/baselines", role="viewer")
        return rows_of(answer, Baseline, "baselines")

    def baseline_image(self, case_id: str, step: int) -> bytes:
        """Give the picture of one step as JPEG."""
        path = f"/tests/cases{path_of(case_id, 'baselines', f'step_{step}.jpg')}"
        answer = self._ask("GET", path, headers={"Accept": "image/jpeg"}, role="viewer")
        if not answer.body.startswith(_JPEG):
            raise VendorBroken(f"VibeView's baseline of step {step} is no JPEG picture")
        return answer.body
