"""What workflows may ask of CheckView, by name."""

from __future__ import annotations

from service.vendors.base import Action, Safety
from service.vendors.checkview import asking, starting

ACTIONS = (
    Action(
        name=starting.RUN_TEST_FLOW,
        summary="Start a run of a test flow",
        params=starting.RunTestFlowParams,
        outputs=asking.TestRunOutputs,
        perform=starting.run_test_flow,
        safety=Safety.ONCE,
        look_up=starting.look_up_run,
    ),
    Action(
        name="checkview.test_run",
        summary="Say where a test run stands",
        params=asking.TestRunParams,
        outputs=asking.TestRunOutputs,
        perform=asking.test_run,
        safety=Safety.READ,
    ),
    Action(
        name="checkview.test_runs",
        summary="Give the newest test runs",
        params=asking.TestRunsParams,
        outputs=asking.TestRunsOutputs,
        perform=asking.test_runs,
        safety=Safety.READ,
    ),
    Action(
        name="checkview.test_flow",
        summary="Give a test flow and the website it tests",
        params=asking.TestFlowParams,
        outputs=asking.TestFlowOutputs,
        perform=asking.test_flow,
        safety=Safety.READ,
    ),
    Action(
        name="checkview.test_flows",
        summary="Give the test flows, of one website or by name",
        params=asking.TestFlowsParams,
        outputs=asking.TestFlowsOutputs,
        perform=asking.test_flows,
        safety=Safety.READ,
    ),
    Action(
        name=starting.CREATE_UX_AUDIT,
        summary="Start a UX audit of a website or an address",
        params=starting.CreateUxAuditParams,
        outputs=asking.UxAuditOutputs,
        perform=starting.create_ux_audit,
        safety=Safety.ONCE,
        look_up=starting.look_up_audit,
    ),
    Action(
        name="checkview.ux_audit",
        summary="Say where a UX audit stands",
        params=asking.UxAuditParams,
        outputs=asking.UxAuditOutputs,
        perform=asking.ux_audit,
        safety=Safety.READ,
    ),
)
