"""Starting and stopping runs.

Starting has no idempotency key at the vendor: a run is started once for its step. The metadata
given here comes back in the webhooks of the run, with our own correlation id added.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.events import Json
from service.errors import Refused
from service.vendors.base import Action, CallContext, Done, Outputs, Params, Safety
from service.vendors.vibeview.actions.params import Tag, Text
from service.vendors.vibeview.api.ci import Match, Mode, RunChoices, StartedRun
from service.vendors.vibeview.client import VibeViewClient


class RunParams(Params):
    """How to run. Either a category of devices or one device; neither means a phone."""

    commit_sha: Text | None = Field(
        default=None, description="The commit under test, for VibeView's own status on GitHub."
    )
    model: Text | None = Field(default=None, description="The AI model; VibeView's usual if none.")
    provider: Text | None = Field(
        default=None, description="Who runs the model; VibeView's usual if none."
    )
    mode: Mode | None = Field(
        default=None,
        description="`replay` follows the recording (cheapest), `ai` only the AI, `hybrid` the AI "
        "where the recording fails.",
    )
    device_category: Literal["phone", "tablet", "tv"] | None = Field(
        default=None, description="What kind of device to take; a phone if none."
    )
    device_id: Text | None = Field(
        default=None, description="The one device to take, instead of a kind."
    )
    build_id: int | None = Field(
        default=None, ge=1, description="The build of the app; the newest if none."
    )
    metadata: dict[str, Json] = Field(
        default_factory=dict,
        description="What the run's webhooks bring back, such as repository and pr_number.",
    )

    @model_validator(mode="after")
    def _one_device(self) -> RunParams:
        if self.device_category is not None and self.device_id is not None:
            message = "give either device_category or device_id"
            raise ValueError(message)
        return self

    def choices(self, context: CallContext) -> RunChoices:
        """Give what was chosen, with our correlation id in the metadata."""
        choices: RunChoices = {
            "metadata": {"correlation_id": context.idempotency_key, **self.metadata}
        }
        if self.commit_sha is not None:
            choices["commit_sha"] = self.commit_sha
        if self.model is not None:
            choices["model"] = self.model
        if self.provider is not None:
            choices["provider"] = self.provider
        if self.mode is not None:
            choices["mode"] = self.mode
        if self.device_category is not None:
            choices["device_category"] = self.device_category
        if self.device_id is not None:
            choices["device_id"] = self.device_id
        if self.build_id is not None:
            choices["build_id"] = self.build_id
        return choices


class RunSuiteParams(RunParams):
    """Which suite."""

    suite_id: Text = Field(description="The suite's public id (`suite_…`).")


class RunTestParams(RunParams):
    """Which test."""

    test_id: Text = Field(description="The test case's public id.")


class RunSuitesParams(RunParams):
    """The suites that have any or all of these tags."""

    tags: Annotated[tuple[Tag, ...], Field(min_length=1, max_length=20)] = Field(
        description="1 to 20 tags: small letters, digits, `_` and `-`."
    )
    match: Match = Field(default="any", description="Whether suites need `any` tag or `all` tags.")


class StartedOutputs(Outputs):
    """The run that was started."""

    run_id: str = Field(description="The run's public id, which `vibeview.run_status` takes.")
    status: str = Field(description="The state it began in, as a rule `pending`.")


class StartedSuitesOutputs(Outputs):
    """The run of several suites that was started."""

    aggregate_id: str = Field(
        description="The id of the whole, which `vibeview.multi_suite_status` takes."
    )
    matched_suite_ids: tuple[str, ...] = Field(description="The suites that have the tags.")
    status_url: str | None = Field(description="Where VibeView's API says how it stands.")


def run_suite(context: CallContext, params: RunSuiteParams) -> Done:
    """Start a suite."""
    client = VibeViewClient(context.http)
    return _started(client.ci.run_suite(params.suite_id, **params.choices(context)))


def run_test(context: CallContext, params: RunTestParams) -> Done:
    """Start one test."""
    client = VibeViewClient(context.http)
    return _started(client.ci.run_test(params.test_id, **params.choices(context)))


def _started(told: StartedRun) -> Done:
    outputs = StartedOutputs(run_id=told.run_id, status=told.status or "pending")
    return Done(outputs, {"run_id": told.run_id})


def run_suites(context: CallContext, params: RunSuitesParams) -> Done:
    """Start every suite with these tags."""
    client = VibeViewClient(context.http)
    choices = params.choices(context)
    told = client.ci.run_suites(params.tags, match=params.match, **choices)
    outputs = StartedSuitesOutputs(
        aggregate_id=told.aggregate_id,
        matched_suite_ids=told.matched_suite_ids,
        status_url=told.status_url,
    )
    return Done(outputs, {"aggregate_id": told.aggregate_id})


class CancelRunParams(Params):
    """Which run to end."""

    run_id: Text | None = Field(default=None, description="The public id of a test run.")
    suite_run_number: int | None = Field(
        default=None,
        ge=1,
        description="The number (not the public id) of a suite run, as `vibeview.suite_run_record` "
        "gives it.",
    )

    @model_validator(mode="after")
    def _one_run(self) -> CancelRunParams:
        if (self.run_id is None) == (self.suite_run_number is None):
            message = "give either run_id or suite_run_number"
            raise ValueError(message)
        return self


class CancelRunOutputs(Outputs):
    """Whether the run is being ended."""

    requested: bool = Field(description="Whether the run is ending now; false: it had ended.")
    status: str = Field(description="VibeView's word for it, or `not_active`.")


def cancel_run(context: CallContext, params: CancelRunParams) -> Done:
    """Ask for the end of a run. That it has ended already is no failure."""
    calls = VibeViewClient(context.http).runs
    try:
        if params.suite_run_number is not None:
            told = calls.cancel_ai_suite(params.suite_run_number)
        else:
            told = calls.cancel(params.run_id or "")
    except Refused as fault:
        if fault.status != HTTPStatus.BAD_REQUEST:
            raise
        return Done(CancelRunOutputs(requested=False, status="not_active"), changed=False)
    status = told.status or "cancellation_requested"
    return Done(CancelRunOutputs(requested=True, status=status))


def _cancelled(params: CancelRunParams, _options: object) -> str:
    return f"run:{params.run_id or params.suite_run_number}"


STARTING_ACTIONS = (
    Action(
        name="vibeview.run_suite",
        summary="Start a suite",
        params=RunSuiteParams,
        outputs=StartedOutputs,
        perform=run_suite,
        safety=Safety.ONCE,
    ),
    Action(
        name="vibeview.run_test",
        summary="Start one test",
        params=RunTestParams,
        outputs=StartedOutputs,
        perform=run_test,
        safety=Safety.ONCE,
    ),
    Action(
        name="vibeview.run_suites",
        summary="Start every suite with these tags",
        params=RunSuitesParams,
        outputs=StartedSuitesOutputs,
        perform=run_suites,
        safety=Safety.ONCE,
    ),
    Action(
        name="vibeview.cancel_run",
        summary="Ask for the end of a run; one that has ended already is no failure",
        params=CancelRunParams,
        outputs=CancelRunOutputs,
        perform=cancel_run,
        safety=Safety.FIND_AND_UPDATE,
        target=_cancelled,
    ),
)
