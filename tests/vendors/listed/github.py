"""GitHub's calls: vendors.md §6 and what an App needs beside them."""

from __future__ import annotations

from tests.vendors.listed.call import Call

_REPO = "/repos/{owner}/{repo}"
_HOOK = f"{_REPO}/hooks/{{hook_id}}/deliveries"
_APP_HOOK = "/app/hook/deliveries"

LISTED: tuple[Call, ...] = (
    Call("GET", _HOOK, "HookClient.deliveries", "6.1"),
    Call("GET", f"{_HOOK}/{{delivery_id}}", "HookClient.delivery", "6.1"),
    Call("POST", f"{_HOOK}/{{delivery_id}}/attempts", "HookClient.redeliver", "6.1"),
    Call("GET", _APP_HOOK, "HookClient.deliveries", "6.1"),
    Call("GET", f"{_APP_HOOK}/{{delivery_id}}", "HookClient.delivery", "6.1"),
    Call("POST", f"{_APP_HOOK}/{{delivery_id}}/attempts", "HookClient.redeliver", "6.1"),
    Call("GET", "/meta", "GitHubClient.meta", "6.1"),
    Call("GET", f"{_REPO}/issues/{{number}}/comments", "GitHubClient.comments", "6.2"),
    Call("POST", f"{_REPO}/issues/{{number}}/comments", "GitHubClient.create_comment", "6.2"),
    Call("PATCH", f"{_REPO}/issues/comments/{{id}}", "GitHubClient.update_comment", "6.2"),
    Call("DELETE", f"{_REPO}/issues/comments/{{id}}", "GitHubClient.delete_comment", "6.2"),
    Call("POST", f"{_REPO}/check-runs", "GitHubClient.create_check_run", "6.2"),
    Call("PATCH", f"{_REPO}/check-runs/{{id}}", "GitHubClient.update_check_run", "6.2"),
    Call("POST", f"{_REPO}/statuses/{{sha}}", "GitHubClient.set_status", "6.2"),
    Call("POST", f"{_REPO}/dispatches", "GitHubClient.dispatch", "6.2"),
    Call("GET", "/user", "GitHubClient.user", "6.2"),
    Call("GET", "/app", "GitHubClient.app", "6.2"),
    Call("GET", f"{_REPO}/commits/{{sha}}/pulls", "GitHubClient.pull_requests_of", "10"),
)
"""What vendors.md names."""

BESIDE: tuple[Call, ...] = (
    Call("POST", "/app/installations/{id}/access_tokens", "fetch_token", "6.2"),
    Call("GET", "/rate_limit", "GitHubClient.rate_limits", "6.3"),
    Call("GET", "/orgs/{organization}/hooks/{hook_id}/deliveries", "HookClient.deliveries", "6.1"),
    Call("GET", f"{_REPO}/pulls/{{number}}", "GitHubClient.pull_request", "6.2"),
    Call("GET", f"{_REPO}/commits/{{sha}}/statuses", "GitHubClient.statuses", "6.2"),
    Call("GET", f"{_REPO}/commits/{{sha}}/check-runs", "GitHubClient.check_runs", "6.2"),
    Call("GET", f"{_REPO}/issues", "GitHubClient.issues", "6.2"),
    Call("POST", f"{_REPO}/issues", "GitHubClient.create_issue", "6.2"),
    Call("PATCH", f"{_REPO}/issues/{{number}}", "GitHubClient.update_issue", "6.2"),
)
"""What the client makes beside them."""
