"""Every call of Checkrd's API that vendors.md §4.3 lists."""

from __future__ import annotations

from tests.vendors.listed.call import Call

AGENT = "/v1/agents/{id}"
ALERT = "/v1/alerts/{id}"
SECTION = "4.3"

LISTED: tuple[Call, ...] = (
    Call("GET", "/v1/agents", "list_agents", SECTION),
    Call("POST", "/v1/agents", "create_agent", SECTION),
    Call("GET", AGENT, "agent", SECTION),
    Call("PUT", AGENT, "update_agent", SECTION),
    Call("DELETE", AGENT, "delete_agent", SECTION),
    Call("POST", f"{AGENT}/kill-switch", "set_kill_switch", SECTION),
    Call("GET", f"{AGENT}/control", "control", SECTION),
    Call("GET", f"{AGENT}/control/state", "control_state", SECTION),
    Call("GET", "/v1/alerts", "list_alerts", SECTION),
    Call("POST", "/v1/alerts", "create_alert", SECTION),
    Call("PUT", ALERT, "update_alert", SECTION),
    Call("DELETE", ALERT, "delete_alert", SECTION),
    Call("POST", f"{ALERT}/mute", "mute_alert", SECTION),
    Call("POST", f"{ALERT}/unmute", "unmute_alert", SECTION),
    Call("POST", f"{ALERT}/toggle", "toggle_alert", SECTION),
    Call("GET", f"{ALERT}/history", "history_of_alert", SECTION),
    Call("GET", f"{ALERT}/notifications", "notifications", SECTION),
    Call("GET", "/v1/alert-history", "alert_history", SECTION),
    Call("GET", "/v1/alert-history/timeseries", "alert_timeseries", SECTION),
    Call("POST", "/v1/telemetry", "send_telemetry", SECTION),
    Call("GET", "/v1/dashboard/stats", "dashboard_stats", SECTION),
    Call("GET", "/v1/dashboard/events", "dashboard_events", SECTION),
    Call("GET", "/v1/dashboard/timeseries", "dashboard_timeseries", SECTION),
    Call("GET", "/v1/dashboard/agents", "dashboard_agents", SECTION),
    Call("GET", "/v1/dashboard/hosts", "dashboard_hosts", SECTION),
    Call("GET", "/v1/dashboard/rule-hits", "dashboard_rule_hits", SECTION),
    Call("GET", "/v1/audit-log", "audit_log", SECTION),
    Call("GET", "/v1/audit-log/{resource_type}/{resource_id}", "audit_log_of", SECTION),
    Call("GET", "/v1/billing/status", "billing_status", SECTION),
    Call("GET", "/v1/keys", "api_keys", SECTION),
    Call("GET", "/health", "health", SECTION),
)
