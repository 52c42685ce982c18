"""Every call of Checkly that vendors.md lists (§2.3 and §2.4)."""

from __future__ import annotations

from tests.vendors.listed.call import Call, in_section

_SESSIONS = "/v1/test-sessions"
_RUNS = "/v2/check-sessions"
_CHANNELS = "/v1/alert-channels"
_ERRORS = "/v1/error-groups"
_SESSION_ERRORS = "/v1/test-session-error-groups"
_ANALYSES = "/v1/root-cause-analyses"

_OF_SESSIONS = (
    ("GET", _SESSIONS, "sessions.page"),
    ("POST", f"{_SESSIONS}/trigger", "sessions.trigger"),
    ("GET", f"{_SESSIONS}/{{id}}", "sessions.get"),
    ("GET", f"{_SESSIONS}/{{id}}/completion", "sessions.completion"),
    ("GET", f"{_SESSIONS}/{{id}}/results/{{result}}", "sessions.result"),
    ("POST", f"{_SESSIONS}/{{id}}/cancel", "sessions.cancel"),
    ("POST", f"{_SESSIONS}/run", "sessions.run"),
    ("GET", f"{_SESSIONS}/scheduling/{{id}}/completion", "sessions.scheduled"),
)
_OF_CHECKS = (
    ("POST", f"{_RUNS}/trigger", "checks.trigger"),
    ("GET", f"{_RUNS}/{{id}}", "checks.session"),
    ("GET", f"{_RUNS}/{{id}}/completion", "checks.completion"),
    ("POST", "/v1/check-sessions/{id}/cancel", "checks.cancel"),
    ("GET", "/v1/check-statuses", "checks.statuses"),
    ("GET", "/v1/check-statuses/{check}", "checks.status"),
    ("GET", "/v2/check-results/{check}", "checks.results_page"),
    ("GET", "/v1/check-results/{check}/{result}", "checks.result"),
    ("GET", "/checks/{id}/trigger/{token}", "checks.deployment_trigger"),
    ("GET", "/check-groups/{id}/trigger/{token}", "checks.deployment_trigger"),
)
_OF_ALERTS = (
    ("GET", "/v1/check-alerts", "alerts.alerts_page"),
    ("GET", "/v1/check-alerts/{check}", "alerts.alerts_page"),
    ("GET", "/v1/alert-notifications", "alerts.notifications_page"),
    ("GET", _CHANNELS, "alerts.channels_page"),
    ("POST", _CHANNELS, "alerts.create_channel"),
    ("GET", f"{_CHANNELS}/{{id}}", "alerts.channel"),
    ("PUT", f"{_CHANNELS}/{{id}}", "alerts.replace_channel"),
    ("DELETE", f"{_CHANNELS}/{{id}}", "alerts.delete_channel"),
)
_OF_ERRORS = (
    ("GET", f"{_ERRORS}/{{id}}", "errors.group"),
    ("GET", f"{_ERRORS}/checks/{{check}}", "errors.groups_of_check"),
    ("PATCH", f"{_ERRORS}/{{id}}", "errors.archive"),
    ("GET", _SESSION_ERRORS, "errors.session_groups"),
    ("GET", f"{_SESSION_ERRORS}/projects/{{project}}", "errors.session_groups"),
    ("GET", f"{_SESSION_ERRORS}/{{id}}", "errors.group"),
    ("PATCH", f"{_SESSION_ERRORS}/{{id}}", "errors.archive"),
    ("POST", f"{_ANALYSES}/error-groups/{{id}}", "errors.analyse"),
    ("POST", f"{_ANALYSES}/test-session-error-groups/{{id}}", "errors.analyse"),
    ("GET", f"{_ANALYSES}/{{id}}", "errors.analysis"),
)

LISTED: tuple[Call, ...] = (
    *in_section("2.3", *_OF_SESSIONS),
    *in_section("2.4", *_OF_CHECKS, *_OF_ALERTS, *_OF_ERRORS),
)
