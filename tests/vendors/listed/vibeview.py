"""Every call of VibeView that vendors.md lists (§1.1, §1.3 to §1.5)."""

from __future__ import annotations

from tests.vendors.listed.call import Call, in_section

_API = "/api/v1"
_HOOK = f"{_API}/integrations/webhooks/{{id}}"
_SUITE = f"{_API}/tests/suites/{{id}}"
_CASE = f"{_API}/tests/cases/{{id}}"
_ORGANISATION = f"{_API}/organizations/{{id}}"

_WEBHOOKS = (
    ("GET", f"{_API}/integrations/events/catalog", "webhooks.catalog"),
    ("GET", f"{_HOOK}/subscriptions", "webhooks.subscriptions"),
    ("PUT", f"{_HOOK}/subscriptions", "webhooks.replace_subscriptions"),
    ("POST", f"{_HOOK}/regenerate-secret", "webhooks.regenerate_secret"),
    ("GET", f"{_HOOK}/deliveries", "webhooks.deliveries"),
    ("POST", f"{_HOOK}/deliveries/{{delivery}}/redeliver", "webhooks.redeliver"),
)
_CI = (
    ("POST", f"{_API}/ci/run-suite", "ci.run_suite"),
    ("POST", f"{_API}/ci/run-test", "ci.run_test"),
    ("GET", f"{_API}/ci/runs/{{id}}", "ci.run"),
    ("GET", f"{_API}/ci/list-suites", "ci.list_suites"),
    ("POST", f"{_API}/ci/run-suites", "ci.run_suites"),
    ("GET", f"{_API}/ci/multi-suite-runs/{{id}}", "ci.multi_suite_run"),
)
_TESTS = (
    ("GET", f"{_API}/tests/suites", "suites.all"),
    ("GET", _SUITE, "suites.one"),
    ("PATCH", _SUITE, "suites.change"),
    ("PATCH", f"{_SUITE}/settings", "suites.set_thresholds"),
    ("GET", f"{_API}/tests/tags", "suites.tags"),
    ("GET", _CASE, "cases.one"),
    ("GET", f"{_CASE}/runs", "cases.runs"),
    ("POST", f"{_CASE}/run", "cases.create_run_record"),
    ("GET", f"{_CASE}/baselines", "cases.baselines"),
    ("GET", f"{_CASE}/baselines/step_{{step}}.jpg", "cases.baseline_image"),
    ("GET", f"{_API}/tests/runs/{{id}}", "runs.one"),
    ("PATCH", f"{_API}/tests/runs/{{id}}", "runs.change"),
    ("POST", f"{_API}/tests/runs/{{id}}/cancel", "runs.cancel"),
    ("GET", f"{_API}/tests/suite-runs/{{id}}", "runs.suite_run"),
    ("POST", f"{_API}/ai/test/run", "runs.run_ai_test"),
    ("POST", f"{_API}/ai/suite/run", "runs.run_ai_suite"),
    ("POST", f"{_API}/ai/suite/run/{{number}}/cancel", "runs.cancel_ai_suite"),
    ("POST", f"{_API}/sessions/", "sessions.create"),
    ("POST", f"{_API}/sessions/{{id}}/start", "sessions.start"),
    ("DELETE", f"{_API}/sessions/{{id}}", "sessions.stop"),
    ("DELETE", f"{_API}/sessions/queue/{{entry}}", "sessions.leave_queue"),
    ("POST", f"{_API}/sessions/queue/{{entry}}/leave", "sessions.leave_queue_by_post"),
    ("GET", f"{_API}/devices/", "devices.all"),
    ("GET", f"{_API}/devices/pools", "devices.pools"),
    ("GET", f"{_API}/tests/cases", "cases.all"),
    ("PATCH", _CASE, "cases.change"),
    ("DELETE", _CASE, "cases.delete"),
    ("POST", f"{_API}/ai/generate-test", "ai.generate_test"),
    ("GET", f"{_SUITE}/export-yaml", "suites.export_yaml"),
    ("POST", f"{_API}/tests/suites/import-yaml", "suites.import_yaml"),
    ("GET", f"{_API}/apps/", "apps.all"),
    ("GET", f"{_API}/apps/{{id}}", "apps.one"),
    ("POST", f"{_API}/apps/{{id}}/builds", "apps.upload_build"),
    ("GET", f"{_API}/organizations/", "organisations.all"),
    ("GET", f"{_ORGANISATION}/api-tokens", "organisations.api_tokens"),
    ("POST", f"{_ORGANISATION}/api-tokens", "organisations.create_api_token"),
    ("DELETE", f"{_ORGANISATION}/api-tokens/{{token}}", "organisations.delete_api_token"),
    ("GET", f"{_API}/ai/config", "ai.config"),
    ("GET", f"{_API}/ai/models", "ai.models"),
    ("GET", f"{_ORGANISATION}/audit-events", "organisations.audit_events"),
)
_CREDIT = (
    ("GET", f"{_API}/credits/balance", "credits.balance"),
    ("POST", f"{_API}/credits/topup", "credits.topup"),
    ("GET", f"{_API}/credits/ledger", "credits.ledger"),
    ("GET", f"{_API}/usage/dashboard", "credits.usage"),
    ("GET", f"{_API}/ai/usage", "ai.usage"),
    ("PATCH", f"{_ORGANISATION}/session-defaults", "organisations.set_session_defaults"),
)
LISTED: tuple[Call, ...] = (
    *in_section("1.1", *_WEBHOOKS),
    *in_section("1.3", *_CI),
    *in_section("1.4", *_TESTS),
    *in_section("1.5", *_CREDIT),
)
