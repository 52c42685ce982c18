"""Bodies of what was configured: `/api/v1/sources`, `connections`, `polls`, `workflows`. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from schemas.api import Answer


class SourceOut(Answer):
    """A receiving address. Secrets are never shown.

    `has_path_token`: vendors send to `url` with a slash and the path token behind it.
    """

    name: str
    vendor: str
    url: str
    has_path_token: bool
    options: dict[str, Any]
    limits: dict[str, Any]
    connection: str | None
    reconcile: dict[str, Any] | None
    enabled: bool
    from_file: bool
    updated_at: datetime


class ConnectionOut(Answer):
    """An account at a vendor. Credentials are never shown."""

    name: str
    vendor: str
    base_url: str | None
    options: dict[str, Any]
    from_file: bool
    updated_at: datetime


class PollOut(Answer):
    """A question asked of a vendor again and again."""

    name: str
    connection: str
    poll: str
    every_seconds: float
    options: dict[str, Any]
    due_at: datetime
    asked_at: datetime | None
    failures: int
    error: str | None
    enabled: bool
    from_file: bool
    updated_at: datetime


class WorkflowOut(Answer):
    """A workflow by name and its current version.

    `mode`: in `shadow` effects are only recorded, because the document or the installation says so.
    """

    name: str
    description: str
    enabled: bool
    mode: Literal["live", "shadow"]
    version: int
    from_file: bool
    updated_at: datetime


class WorkflowDetail(WorkflowOut):
    """A workflow with the document of its current version."""

    document: dict[str, Any]
    vars: dict[str, Any]
    source_text: str
