"""Every call of Checkrd's API that vendors.md §4.3 lists."""

from __future__ import annotations

from tests.vendors.listed.call import Call, in_section

AGENT = "/v1/agents/{id}"
ALERT = "/v1/alerts/{id}"

LISTED: tuple[Call, ...] = in_section(
    "4.3",
    ("GET", "/v1/agents", "list_agents"),
    ("POST", "/v1/agents", "create_agent"),
    ("GET", AGENT, "agent"),
    ("PUT", AGENT, "update_agent"),
    ("DELETE", AGENT, "delete_agent"),
    ("POST", f"{AGENT}/kill-switch", "set_kill_switch"),
    ("GET", f"{AGENT}/control", "control"),
    ("GET", f"{AGENT}/control/state", "control_state"),
    ("GET", "/v1/alerts", "list_alerts"),
    ("POST", "/v1/alerts", "create_alert"),
    ("PUT", ALERT, "update_alert"),
    ("DELETE", ALERT, "delete_alert"),
    ("POST", f"{ALERT}/mute", "mute_alert"),
    ("POST", f"{ALERT}/unmute", "unmute_alert"),
    ("POST", f"{ALERT}/toggle", "toggle_alert"),
    ("GET", f"{ALERT}/history", "history_of_alert"),
    ("GET", f"{ALERT}/notifications", "notifications"),
    ("GET", "/v1/alert-history", "alert_history"),
    ("GET", "/v1/alert-history/timeseries", "alert_timeseries"),
    ("POST", "/v1/telemetry", "send_telemetry"),
    ("GET", "/v1/dashboard/stats", "dashboard_stats"),
    ("GET", "/v1/dashboard/events", "dashboard_events"),
    ("GET", "/v1/dashboard/timeseries", "dashboard_timeseries"),
    ("GET", "/v1/dashboard/agents", "dashboard_agents"),
    ("GET", "/v1/dashboard/hosts", "dashboard_hosts"),
    ("GET", "/v1/dashboard/rule-hits", "dashboard_rule_hits"),
    ("GET", "/v1/audit-log", "audit_log"),
    ("GET", "/v1/audit-log/{resource_type}/{resource_id}", "audit_log_of"),
    ("GET", "/v1/billing/status", "billing_status"),
    ("GET", "/v1/keys", "api_keys"),
    ("GET", "/health", "health"),
)
