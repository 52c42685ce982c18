"""Options of a GitHub source."""

from __future__ import annotations

from pydantic import Field

from service.vendors.base import Options


class GitHubOptions(Options):
    """How GitHub's webhooks are read."""

    ignore_senders: tuple[str, ...] = Field(
        default=(), description="Logins, such as our own app's, whose doings give no events."
    )
