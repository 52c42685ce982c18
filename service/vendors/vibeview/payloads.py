"""What we read of VibeView's bodies. The envelope is assumed (vendors.md §1.1): all optional."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field

from schemas.events import VisualStatus
from service.vendors.reading import Object, Payload, Text, Time, Whole, as_list, as_mapping

_VISUAL: dict[object, VisualStatus] = {"ok": "ok", "warn": "warn", "fail": "fail"}


def _as_visual(value: object) -> VisualStatus | None:
    return _VISUAL.get(value) if isinstance(value, str) else None


Visual = Annotated[VisualStatus | None, BeforeValidator(_as_visual)]


def _as_objects(value: object) -> list[dict[str, object]]:
    return [as_mapping(item) for item in as_list(value) if isinstance(item, dict)]


class CaseRun(Payload):
    """One case of a suite run."""

    case_id: Text = None
    case_name: Text = Field(
        default=None, validation_alias=AliasChoices("case_name", "test_name", "name")
    )
    run_id: Text = None
    status: Text = None
    visual_regression_status: Visual = None
    error_message: Text = None
    url: Text = Field(default=None, validation_alias=AliasChoices("url", "run_url"))


class RunData(CaseRun):
    """A suite run, a run of one test, or one case of a suite run; also what a baseline is of."""

    suite_run_id: Text = None
    suite_id: Text = None
    suite_name: Text = None
    passed: Whole = None
    failed: Whole = None
    duration_ms: Whole = None
    case_runs: Annotated[tuple[CaseRun, ...], BeforeValidator(_as_objects)] = ()
    metadata: Object = Field(default_factory=dict)


class Place(Payload):
    """Where a run belongs in the code; in `metadata` by the operator's choice of names."""

    repository: Text = Field(default=None, validation_alias=AliasChoices("repository", "repo"))
    branch: Text = Field(default=None, validation_alias=AliasChoices("branch", "ref"))
    commit_sha: Text = Field(
        default=None, validation_alias=AliasChoices("commit_sha", "commit", "sha")
    )
    pr_number: Whole = Field(
        default=None, validation_alias=AliasChoices("pr_number", "pr", "pull_request")
    )


class AppData(Payload):
    """A new build of an app."""

    app_id: Text = None
    app_name: Text = Field(default=None, validation_alias=AliasChoices("app_name", "name"))
    platform: Text = None
    build_id: Text = None
    version: Text = None
    url: Text = None


class CreditData(Payload):
    """What is left of an account's credit, in micro-credits."""

    remaining_micro: Whole = Field(
        default=None, validation_alias=AliasChoices("remaining_micro", "balance_micro")
    )
    allowance_micro: Whole = None
    prepaid_micro: Whole = None
    floor_micro: Whole = Field(
        default=None, validation_alias=AliasChoices("floor_micro", "threshold_micro")
    )
    period_end: Time = Field(
        default=None, validation_alias=AliasChoices("plan_period_end", "period_end")
    )
    topup_url: Text = Field(default=None, validation_alias=AliasChoices("topup_url", "url"))
    organization_id: Text = None
