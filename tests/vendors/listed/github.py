"""GitHub's calls: vendors.md §6 and what an App needs beside them."""

from __future__ import annotations

from tests.vendors.listed.call import Call

_REPO = "/repos/{owner}/{repo}"
_HOOK = f"{_REPO}/hooks/{{hook_id}}/deliveries"
_ORGANIZATION_HOOK = "/orgs/{organization}/hooks/{hook_id}/deliveries"
_APP_HOOK = "/app/hook/deliveries"

LISTED: tuple[Call, ...] = (
    Call("GET", _HOOK, "deliveries", "6.1"),
    Call("GET", f"{_HOOK}/{{delivery_id}}", "delivery", "6.1"),
    Call("POST", f"{_HOOK}/{{delivery_id}}/attempts", "redeliver", "6.1"),
    Call("GET", _APP_HOOK, "deliveries", "6.1"),
    Call("GET", f"{_APP_HOOK}/{{delivery_id}}", "delivery", "6.1"),
    Call("POST", f"{_APP_HOOK}/{{delivery_id}}/attempts", "redeliver", "6.1"),
    Call("GET", "/meta", "meta", "6.1"),
    Call("GET", f"{_REPO}/issues/{{number}}/comments", "comments", "6.2"),
    Call("POST", f"{_REPO}/issues/{{number}}/comments", "create_comment", "6.2"),
    Call("PATCH", f"{_REPO}/issues/comments/{{id}}", "update_comment", "6.2"),
    Call("DELETE", f"{_REPO}/issues/comments/{{id}}", "delete_comment", "6.2"),
    Call("POST", f"{_REPO}/check-runs", "create_check_run", "6.2"),
    Call("PATCH", f"{_REPO}/check-runs/{{id}}", "update_check_run", "6.2"),
    Call("POST", f"{_REPO}/statuses/{{sha}}", "set_status", "6.2"),
    Call("POST", f"{_REPO}/dispatches", "dispatch", "6.2"),
    Call("GET", "/user", "user", "6.2"),
    Call("GET", "/app", "app", "6.2"),
    Call("GET", f"{_REPO}/commits/{{sha}}/pulls", "pull_requests_of", "10"),
)
"""What vendors.md names."""

BESIDE: tuple[Call, ...] = (
    Call("POST", "/app/installations/{id}/access_tokens", "fetch_token", "6.2"),
    Call("GET", "/rate_limit", "rate_limits", "6.3"),
    Call("GET", _ORGANIZATION_HOOK, "deliveries", "6.1"),
    Call("GET", f"{_ORGANIZATION_HOOK}/{{delivery_id}}", "delivery", "6.1"),
    Call("POST", f"{_ORGANIZATION_HOOK}/{{delivery_id}}/attempts", "redeliver", "6.1"),
    Call("GET", f"{_REPO}/pulls/{{number}}", "pull_request", "6.2"),
    Call("GET", f"{_REPO}/commits/{{sha}}/statuses", "statuses", "6.2"),
    Call("GET", f"{_REPO}/commits/{{sha}}/check-runs", "check_runs", "6.2"),
    Call("GET", f"{_REPO}/issues", "issues", "6.2"),
    Call("POST", f"{_REPO}/issues", "create_issue", "6.2"),
    Call("PATCH", f"{_REPO}/issues/{{number}}", "update_issue", "6.2"),
)
"""What the client makes beside them."""
