"""How a process tells whether it is well."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Health(BaseModel):
    """How this process is: `ok` when every part is, `degraded` when it works without one."""

    status: Literal["ok", "degraded", "unavailable"]
    version: str
    parts: dict[str, str]
