"""Questions that change nothing: flows, where a run or an audit stands."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from pydantic import Field, StringConstraints

from service.errors import Permanent
from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checkview.client import CheckViewClient
from service.vendors.checkview.facts import has_ended, outcome_of
from service.vendors.checkview.options import CheckViewConnectionOptions
from service.vendors.checkview.payloads import TestFlow, TestRun, UxAudit

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]

MOST_FLOWS = 500
MOST_AUDITS = 500
"""Audits that are looked through for one: no call for a single audit is known."""


def client_of(context: CallContext) -> CheckViewClient:
    """Give the client of a connection."""
    return CheckViewClient(context.http, context.options)


# --- test flows ---------------------------------------------------------------------------------


class TestFlowParams(Params):
    """Which test flow."""

    __test__ = False  # the name begins with Test; pytest must not collect it

    test_flow_id: Text = Field(description="The test flow's id at CheckView.")


class TestFlowOutputs(Outputs):
    """A test flow."""

    __test__ = False  # likewise

    test_flow_id: str = Field(description="The test flow's id.")
    name: str | None = Field(description="Its name.")
    website_id: str | None = Field(description="The id of the website it tests.")
    website_url: str | None = Field(description="The address of the website it tests.")


def flow_outputs(flow: TestFlow) -> TestFlowOutputs:
    """Give a flow as steps read it."""
    return TestFlowOutputs(
        test_flow_id=flow.id or "",
        name=flow.name,
        website_id=flow.website.id,
        website_url=flow.website.url,
    )


def test_flow(context: CallContext, params: TestFlowParams) -> Done:
    """Give a test flow."""
    return Done(flow_outputs(client_of(context).test_flow(params.test_flow_id)), changed=False)


class TestFlowsParams(Params):
    """Which test flows; all fields narrow the list."""

    __test__ = False  # likewise

    website_id: Text | None = Field(default=None, description="Only flows of this website.")
    website_url: Text | None = Field(
        default=None,
        description="Only flows of the website with this address's host; what stands behind the "
        "host makes no difference.",
    )
    name_contains: Text | None = Field(
        default=None, description="Only flows whose name has this text, in any case."
    )


class TestFlowsOutputs(Outputs):
    """The test flows that were found."""

    __test__ = False  # likewise

    test_flows: tuple[TestFlowOutputs, ...] = Field(description="The flows, at most 500.")
    ids: tuple[str, ...] = Field(description="Their ids, to be used in for_each.")
    more: bool = Field(description="Whether there are others beyond these.")


def test_flows(context: CallContext, params: TestFlowsParams) -> Done:
    """Give the test flows that fit."""
    text = (params.name_contains or "").lower()
    host = None if params.website_url is None else _host_of(params.website_url)
    fitting = (
        flow
        for flow in client_of(context).test_flows()
        if params.website_id in {None, flow.website.id}
        and (host is None or host == _host_of(flow.website.url or ""))
        and text in (flow.name or "").lower()
    )
    found = [flow_outputs(flow) for flow in islice(fitting, MOST_FLOWS + 1)]
    kept = tuple(found[:MOST_FLOWS])
    ids = tuple(flow.test_flow_id for flow in kept)
    return Done(
        TestFlowsOutputs(test_flows=kept, ids=ids, more=len(found) > len(kept)), changed=False
    )


def _host_of(address: str) -> str:
    """Give the host of an address with or without its scheme; a port belongs to it."""
    return address.rpartition("://")[2].partition("/")[0].partition("?")[0].lower()


# --- test runs ----------------------------------------------------------------------------------


class TestRunOutputs(Outputs):
    """Where a test run stands."""

    __test__ = False  # likewise

    test_run_id: str = Field(description="The test run's id.")
    status: str = Field(
        description="queued, running, passed, failed, error or cancelled; else the vendor's word."
    )
    finished: bool = Field(description="Whether it has ended, however it did.")
    passed: bool = Field(description="Whether it has ended and passed.")
    error: str | None = Field(description="What went wrong, in the vendor's words.")
    url: str | None = Field(description="The page of the run.")
    test_flow_id: str | None = Field(description="The id of its test flow.")
    test_flow_name: str | None = Field(description="The name of its test flow.")
    website_url: str | None = Field(description="The address of the website it tested.")
    duration_ms: int | None = Field(description="How long it took, in milliseconds.")


def run_outputs(context: CallContext, run: TestRun) -> TestRunOutputs:
    """Give a run as steps read it."""
    connection: CheckViewConnectionOptions = context.options
    outcome = outcome_of(run.status, connection.statuses)
    return TestRunOutputs(
        test_run_id=run.id or "",
        status=outcome or run.status or "unknown",
        finished=has_ended(run, connection.statuses),
        passed=outcome == "passed",
        error=run.error,
        url=run.url,
        test_flow_id=run.test_flow.id,
        test_flow_name=run.test_flow.name,
        website_url=run.website.url,
        duration_ms=run.lasted_ms,
    )


class TestRunParams(Params):
    """Which test run."""

    __test__ = False  # likewise

    test_run_id: Text = Field(description="The id that checkview.run_test_flow gave.")


def test_run(context: CallContext, params: TestRunParams) -> Done:
    """Give where a test run stands."""
    run = client_of(context).test_run(params.test_run_id)
    return Done(run_outputs(context, run), changed=False)


class TestRunsParams(Params):
    """Which test runs; all fields narrow the list."""

    __test__ = False  # likewise

    test_flow_id: Text | None = Field(default=None, description="Only runs of this test flow.")
    status: Text | None = Field(
        default=None, description="Only runs of this status, as CheckView writes it."
    )
    limit: int = Field(default=20, ge=1, le=500, description="How many runs to give at most.")


class TestRunsOutputs(Outputs):
    """The test runs that were found."""

    __test__ = False  # likewise

    test_runs: tuple[TestRunOutputs, ...] = Field(description="The runs, newest first.")
    more: bool = Field(description="Whether there are others beyond these.")


def test_runs(context: CallContext, params: TestRunsParams) -> Done:
    """Give the newest test runs that fit."""
    found = client_of(context).test_runs(test_flow_id=params.test_flow_id, status=params.status)
    rows = [run_outputs(context, run) for run in islice(found, params.limit + 1)]
    kept = tuple(rows[: params.limit])
    return Done(TestRunsOutputs(test_runs=kept, more=len(rows) > len(kept)), changed=False)


# --- audits ---------------------------------------------------------------------------------------


class UxAuditOutputs(Outputs):
    """Where a UX audit stands."""

    ux_audit_id: str = Field(description="The audit's id.")
    status: str = Field(description="Its status, as CheckView writes it.")
    finished: bool = Field(description="Whether it has ended, however it did.")
    score: int | None = Field(description="The score it gave, where the vendor tells it.")
    url: str | None = Field(description="The address that was audited.")
    report_url: str | None = Field(description="The page of its report.")


def audit_outputs(context: CallContext, audit: UxAudit) -> UxAuditOutputs:
    """Give an audit as steps read it."""
    connection: CheckViewConnectionOptions = context.options
    status = (audit.status or "").lower()
    return UxAuditOutputs(
        ux_audit_id=audit.id or "",
        status=audit.status or "unknown",
        finished=audit.finished_at is not None
        or (bool(status) and status not in connection.unfinished_audits),
        score=audit.score,
        url=audit.url or audit.website.url,
        report_url=audit.report_url,
    )


class UxAuditParams(Params):
    """Which UX audit."""

    ux_audit_id: Text = Field(description="The id that checkview.create_ux_audit gave.")


def ux_audit(context: CallContext, params: UxAuditParams) -> Done:
    """Give where a UX audit stands, by the list of audits."""
    audits = islice(client_of(context).ux_audits(), MOST_AUDITS)
    found = next((audit for audit in audits if audit.id == params.ux_audit_id), None)
    if found is None:
        raise Permanent(
            f"CheckView has no UX audit {params.ux_audit_id} among its newest {MOST_AUDITS}",
            hint="check the id: it is what checkview.create_ux_audit gave",
        )
    return Done(audit_outputs(context, found), changed=False)
