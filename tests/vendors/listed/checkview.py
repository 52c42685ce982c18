"""Every call that vendors.md lists for CheckView (§3.2)."""

from __future__ import annotations

from tests.vendors.listed.call import Call, in_section

LISTED: tuple[Call, ...] = in_section(
    "3.2",
    ("GET", "/api/v1/websites", "websites"),
    ("GET", "/api/v1/test-flows", "test_flows"),
    ("GET", "/api/v1/test-flows/{id}", "test_flow"),
    ("POST", "/api/v1/test-flows/{id}/run", "run_test_flow"),
    ("GET", "/api/v1/test-runs", "test_runs"),
    ("GET", "/api/v1/test-runs/{id}", "test_run"),
    ("GET", "/api/v1/ux-audits", "ux_audits"),
    ("POST", "/api/v1/ux-audits", "create_ux_audit"),
    ("GET", "/health", "health"),
    ("GET", "/health/ready", "health"),
    ("GET", "/health/live", "health"),
)
