"""Answers of VibeView's API (reference 1.3 to 1.5): the fields we read.

The body of a single run is not published, so it is read tolerantly; the balance is published, and a
balance without its amounts is no balance: nobody shall be alarmed by a number that is not there.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field

from service.vendors.reading import (
    Object,
    Payload,
    Text,
    Time,
    Whole,
    as_list,
    as_mapping,
    as_text,
)
from service.vendors.vibeview.payloads import CaseRun, Visual

TERMINAL = frozenset({"passed", "failed", "cancelled", "error"})
REFILLS = frozenset({"prepaid_topup", "subscription_refill"})
DEDUCTION = "usage_deduction"


def _objects(value: object) -> list[dict[str, object]]:
    return [as_mapping(item) for item in as_list(value) if isinstance(item, dict)]


def _texts(value: object) -> list[str]:
    return [text for item in as_list(value) if (text := as_text(item)) is not None]


class TimedCaseRun(CaseRun):
    """One case of a suite run, as answers list it."""

    duration_ms: Whole = None


Cases = Annotated[tuple[TimedCaseRun, ...], BeforeValidator(_objects)]


class Balance(Payload):
    """The credit that is left, in micro-credits: 1 000 000 = 1.00 USD."""

    allowance_micro: int
    prepaid_micro: int
    plan_allowance_micro: Whole = None
    plan_period_end: Time = None
    low_balance: bool = False

    @property
    def total_micro(self) -> int:
        """Allowance and bought credit together."""
        return self.allowance_micro + self.prepaid_micro


class LedgerEntry(Payload):
    """One movement of credit; deductions are negative. The set of types is open."""

    id: Text = None
    created_at: Time = None
    entry_type: Text = None
    balance_bucket: Text = None
    amount_micro: Whole = None
    model: Text = None
    test_run_id: Text = None

    @property
    def is_refill(self) -> bool:
        """Whether credit came in."""
        return self.entry_type in REFILLS or (self.amount_micro or 0) > 0


class StartedRun(Payload):
    """A suite run or test run that was started."""

    run_id: str
    status: Text = None


class StartedSuites(Payload):
    """A run of several suites that was started."""

    aggregate_id: str
    matched_suite_ids: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    status_url: Text = None


class SuiteRun(Payload):
    """One suite within a run of several."""

    suite_id: Text = None
    suite_name: Text = None
    run_id: Text = None
    status: Text = None
    passed: Whole = None
    failed: Whole = None
    visual_regression_status: Visual = None
    case_runs: Cases = ()


class Run(SuiteRun):
    """A suite run or a test run by its public id."""

    type: Text = None
    url: Text = Field(default=None, validation_alias=AliasChoices("run_url", "url"))
    started_at: Time = None
    finished_at: Time = Field(
        default=None, validation_alias=AliasChoices("finished_at", "completed_at")
    )
    duration_ms: Whole = None
    error_message: Text = Field(
        default=None, validation_alias=AliasChoices("error_message", "error")
    )
    queue: Object = Field(default_factory=dict)


class MultiSuiteRun(Payload):
    """A run of several suites, rolled up by the vendor."""

    id: Text = None
    status: Text = None
    visual_regression_status: Visual = None
    suite_runs: Annotated[tuple[SuiteRun, ...], BeforeValidator(_objects)] = ()
    started_at: Time = None
    completed_at: Time = None
    commit_sha: Text = None


class ListedSuite(Payload):
    """One suite as CI calls list it."""

    id: Text = None
    name: Text = None
    platform: Text = None
    case_count: Whole = None


class CatalogEntry(Payload):
    """One event type the vendor can send."""

    type: Text = Field(default=None, validation_alias=AliasChoices("type", "event_type", "event"))
    category: Text = None
    description: Text = None
    default: bool | None = None


class Organisation(Payload):
    """An organisation the token belongs to."""

    id: Text = None
    name: Text = None
