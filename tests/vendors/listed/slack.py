"""Every call that vendors.md lists for Slack (§7.2, §7.4).

Incoming webhooks and the addresses at which a press is answered lie outside `base_url`; their paths
are those below the host.
"""

from __future__ import annotations

from tests.vendors.listed.call import Call

LISTED: tuple[Call, ...] = (
    Call("POST", "/services/{team}/{app}/{code}", "post_to_webhook", "7.2"),
    Call("POST", "/chat.postMessage", "post_message", "7.2"),
    Call("POST", "/chat.update", "update_message", "7.2"),
    Call("POST", "/auth.test", "identity", "7.2"),
    Call("GET", "/conversations.history", "messages", "7.2"),
    Call("GET", "/conversations.replies", "messages", "7.2"),
    Call("GET", "/conversations.list", "channels", "7.2"),
    Call("POST", "/actions/{code}", "answer_press", "7.4"),
)
