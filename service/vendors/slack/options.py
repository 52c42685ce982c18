"""Options of a Slack source."""

from __future__ import annotations

from pydantic import Field

from service.vendors.base import Options


class SlackOptions(Options):
    """`tolerance_s`: how old or early, in seconds, a signed time may be; Slack advises 300."""

    tolerance_s: int = Field(default=300, ge=0)
