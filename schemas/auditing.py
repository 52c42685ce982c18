"""Bodies of `/api/v1/audit-events` (contract §6). No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from schemas.api import Answer, TimedQuestion


class AuditFilter(TimedQuestion):
    """Which audit events. `action` takes `*`, as in `run.*`."""

    by: str | None = Field(default=None, max_length=200)
    action: str | None = Field(default=None, max_length=60)
    subject: str | None = Field(default=None, max_length=300)


class AuditEventOut(Answer):
    """Something that a person or a program with a token did.

    `action` is `<resource>.<what>`, `subject` the id or name of what it was done to. `remote` is
    the other end of the connection: a proxy's address where one stands before Hookwright.
    """

    id: UUID
    at: datetime
    by: str
    role: str
    action: str
    subject: str
    details: dict[str, Any]
    request_id: str | None
    remote: str | None
