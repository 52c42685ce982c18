"""Every call that vendors.md lists for CheckView (§3.2)."""

from __future__ import annotations

from tests.vendors.listed.call import Call

LISTED: tuple[Call, ...] = (
    Call("GET", "/api/v1/websites", "websites", "3.2"),
    Call("GET", "/api/v1/test-flows", "test_flows", "3.2"),
    Call("GET", "/api/v1/test-flows/{id}", "test_flow", "3.2"),
    Call("POST", "/api/v1/test-flows/{id}/run", "run_test_flow", "3.2"),
    Call("GET", "/api/v1/test-runs", "test_runs", "3.2"),
    Call("GET", "/api/v1/test-runs/{id}", "test_run", "3.2"),
    Call("GET", "/api/v1/ux-audits", "ux_audits", "3.2"),
    Call("POST", "/api/v1/ux-audits", "create_ux_audit", "3.2"),
    Call("GET", "/health", "health", "3.2"),
    Call("GET", "/health/ready", "health", "3.2"),
    Call("GET", "/health/live", "health", "3.2"),
)
