"""Suites and cases: finding them, their thresholds, backups, steps and history."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from schemas.events import Json
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.vibeview.actions.params import Tag, Text
from service.vendors.vibeview.api.cases import CaseChanges
from service.vendors.vibeview.api.ci import Match
from service.vendors.vibeview.client import VibeViewClient

HISTORY = 20

Percent = Annotated[int, Field(ge=0, le=100)]


class ListSuitesParams(Params):
    """Which suites."""

    tags: tuple[Tag, ...] = Field(default=(), description="Only suites with these tags.")
    match: Match = Field(default="any", description="Whether suites need `any` tag or `all` tags.")
    app_id: Text | None = Field(default=None, description="Only suites of this app.")


class SuiteOutputs(Outputs):
    """One suite."""

    id: str | None = Field(description="The suite's public id.")
    name: str | None = Field(description="The suite's name.")
    case_count: int | None = Field(description="How many cases it has.")
    last_run_status: str | None = Field(description="How its last run ended.")
    last_run_at: str | None = Field(description="When its last run was.")
    tags: tuple[str, ...] = Field(description="The names of its tags.")


class ListSuitesOutputs(Outputs):
    """The suites that were found."""

    suites: tuple[SuiteOutputs, ...] = Field(description="The suites, with their last run.")


def list_suites(context: CallContext, params: ListSuitesParams) -> Done:
    """Give the suites there are."""
    found = VibeViewClient(context.http).suites.all(
        app_id=params.app_id, tags=params.tags, match=params.match
    )
    suites = tuple(
        SuiteOutputs(
            id=suite.public_id,
            name=suite.name,
            case_count=suite.case_count,
            last_run_status=suite.last_run_status,
            last_run_at=suite.last_run_at.isoformat() if suite.last_run_at else None,
            tags=tuple(tag.name for tag in suite.tags if tag.name),
        )
        for suite in found
    )
    return Done(ListSuitesOutputs(suites=suites), changed=False)


class SetThresholdsParams(Params):
    """From how many percent of changed pixels on a picture is a warning, and a failure."""

    suite_id: Text = Field(description="The suite's public id.")
    warn_pct: Percent | None = Field(
        description="Changed pixels in percent that warn; null switches warnings off."
    )
    fail_pct: Percent | None = Field(
        description="Changed pixels in percent that fail the step; null switches that off."
    )

    @model_validator(mode="after")
    def _in_order(self) -> SetThresholdsParams:
        both = self.warn_pct is not None and self.fail_pct is not None
        if both and (self.warn_pct or 0) >= (self.fail_pct or 0):
            message = "warn_pct must be below fail_pct: VibeView refuses anything else"
            raise ValueError(message)
        return self


class SetThresholdsOutputs(Outputs):
    """The thresholds that count now."""

    warn_pct: int | None = Field(description="Changed pixels in percent that warn.")
    fail_pct: int | None = Field(description="Changed pixels in percent that fail.")


def set_thresholds(context: CallContext, params: SetThresholdsParams) -> Done:
    """Set a suite's visual thresholds."""
    VibeViewClient(context.http).suites.set_thresholds(
        params.suite_id, warn_pct=params.warn_pct, fail_pct=params.fail_pct
    )
    return Done(SetThresholdsOutputs(warn_pct=params.warn_pct, fail_pct=params.fail_pct))


def _suite(params: SetThresholdsParams, _options: object) -> str:
    return f"suite:{params.suite_id}"


class ExportSuiteParams(Params):
    """Which suite."""

    suite_id: Text = Field(description="The suite's public id.")


class ExportSuiteOutputs(Outputs):
    """A suite as text."""

    yaml: str = Field(description="The suite as a YAML document that can be imported again.")


def export_suite(context: CallContext, params: ExportSuiteParams) -> Done:
    """Give a suite as YAML, as a backup before it is changed."""
    text = VibeViewClient(context.http).suites.export_yaml(params.suite_id)
    return Done(ExportSuiteOutputs(yaml=text), changed=False)


class UpdateCaseParams(Params):
    """What of a case is changed; what is left out stays."""

    case_id: Text = Field(description="The case's public id.")
    name: Text | None = Field(default=None, description="Its new name.")
    steps: tuple[Json, ...] | None = Field(default=None, description="All its steps, replaced.")
    assertions: tuple[Json, ...] | None = Field(
        default=None, description="All its assertions, replaced."
    )
    context: str | None = Field(default=None, description="What the AI is told beside the steps.")

    @model_validator(mode="after")
    def _something(self) -> UpdateCaseParams:
        if not self.changes():
            message = "give what is to be changed: name, steps, assertions or context"
            raise ValueError(message)
        return self

    def changes(self) -> CaseChanges:
        """Give what is changed."""
        changes: CaseChanges = {}
        if self.name is not None:
            changes["name"] = self.name
        if self.steps is not None:
            changes["steps"] = list(self.steps)
        if self.assertions is not None:
            changes["assertions"] = list(self.assertions)
        if self.context is not None:
            changes["context"] = self.context
        return changes


class UpdateCaseOutputs(Outputs):
    """The case as it is now."""

    case_id: str = Field(description="The case's public id.")
    name: str | None = Field(description="Its name.")
    step_count: int = Field(description="How many steps it has.")


def update_case(context: CallContext, params: UpdateCaseParams) -> Done:
    """Write new steps or assertions into a case."""
    case = VibeViewClient(context.http).cases.change(params.case_id, **params.changes())
    count = len(case.step_list()) if case.step_count is None else case.step_count
    return Done(UpdateCaseOutputs(case_id=params.case_id, name=case.name, step_count=count))


def _case(params: UpdateCaseParams, _options: object) -> str:
    return f"case:{params.case_id}"


class CaseHistoryParams(Params):
    """Which case, and how far back."""

    case_id: Text = Field(description="The case's public id.")
    runs: int = Field(default=HISTORY, ge=1, le=100, description="How many of its last runs.")


class CaseHistoryOutputs(Outputs):
    """How a case's last runs ended."""

    statuses: tuple[str, ...] = Field(description="How they ended, newest first.")
    passed: int = Field(description="How many of them passed.")
    failed: int = Field(description="How many of them failed.")
    flaky: bool = Field(description="Whether some of them passed and some failed.")


def case_history(context: CallContext, params: CaseHistoryParams) -> Done:
    """Give how a case's last runs ended."""
    records = VibeViewClient(context.http).cases.runs(params.case_id)[: params.runs]
    statuses = tuple(record.status or "unknown" for record in records)
    passed, failed = statuses.count("passed"), statuses.count("failed")
    outputs = CaseHistoryOutputs(
        statuses=statuses, passed=passed, failed=failed, flaky=passed > 0 and failed > 0
    )
    return Done(outputs, changed=False)


SUITE_ACTIONS = (
    Action(
        name="vibeview.list_suites",
        summary="Give the suites there are, with their last run",
        params=ListSuitesParams,
        outputs=ListSuitesOutputs,
        perform=list_suites,
        safety=Safety.READ,
    ),
    Action(
        name="vibeview.set_thresholds",
        summary="Set from which share of changed pixels a suite warns and fails",
        params=SetThresholdsParams,
        outputs=SetThresholdsOutputs,
        perform=set_thresholds,
        safety=Safety.FIND_AND_UPDATE,
        target=_suite,
    ),
    Action(
        name="vibeview.export_suite",
        summary="Give a suite as YAML, as a backup before it is changed",
        params=ExportSuiteParams,
        outputs=ExportSuiteOutputs,
        perform=export_suite,
        safety=Safety.READ,
    ),
    Action(
        name="vibeview.update_case",
        summary="Write new steps or assertions into a case",
        params=UpdateCaseParams,
        outputs=UpdateCaseOutputs,
        perform=update_case,
        safety=Safety.FIND_AND_UPDATE,
        target=_case,
    ),
    Action(
        name="vibeview.case_history",
        summary="Give how a case's last runs ended, and whether it is flaky",
        params=CaseHistoryParams,
        outputs=CaseHistoryOutputs,
        perform=case_history,
        safety=Safety.READ,
    ),
)
