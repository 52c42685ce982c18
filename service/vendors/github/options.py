"""Options of a GitHub source."""

from __future__ import annotations

from service.vendors.base import Options


class GitHubOptions(Options):
    """`ignore_senders`: logins (such as our own app's) whose doings give no events."""

    ignore_senders: tuple[str, ...] = ()
