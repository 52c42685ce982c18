"""Every call that vendors.md lists for Checksum (§5.3 to §5.6)."""

from __future__ import annotations

from tests.vendors.listed.call import Call

V1, V2 = "/public-api/v1", "/public-api/v2"
RUNS = f"{V1}/test-runs"

LISTED: tuple[Call, ...] = (
    Call("POST", f"{V1}/execution/suite", "run_suite", "5.3"),
    Call("POST", f"{V1}/execution/collection/{{id}}", "run_collection", "5.3"),
    Call("POST", f"{V1}/execution/tests", "run_tests", "5.3"),
    Call("POST", f"{V2}/execution/grep", "run_grep", "5.3"),
    Call("POST", f"{V1}/execution/grep", "run_grep_v1", "5.3"),
    Call("POST", f"{V1}/affected-tests", "affected_tests", "5.3"),
    Call("GET", f"{V1}/execution/status/{{jobName}}", "status_of_job", "5.4"),
    Call("GET", f"{V2}/execution/status/{{jobName}}", "status_of_job", "5.4"),
    Call("GET", f"{V1}/execution/status/run/{{runId}}", "status_of_run", "5.4"),
    Call("GET", f"{RUNS}/{{id}}/results", "results", "5.4"),
    Call("GET", f"{RUNS}/{{id}}/report", "report", "5.4"),
    Call("GET", f"{RUNS}/{{runId}}/tests/{{testId}}/attachments", "attachments", "5.4"),
    Call("GET", f"{RUNS}/latest", "latest", "5.4"),
    Call("GET", f"{V1}/health-dashboard/bugs", "bugs", "5.4"),
    Call("GET", f"{V1}/me", "me", "5.4"),
    Call("POST", f"{V1}/auto-generate", "auto_generate", "5.5"),
    Call("GET", f"{V1}/auto-generate/batch/{{batchId}}", "generation", "5.5"),
    Call("POST", f"{V1}/auto-heal", "auto_heal", "5.6"),
    Call("GET", f"{V1}/auto-heal/batch/{{batchId}}", "heal", "5.6"),
)
