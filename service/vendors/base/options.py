"""A vendor's typed options, and what those of several vendors share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Base of every vendor's typed options: immutable, unknown keys refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


_PER_MINUTE = Field(ge=0.01, le=100_000, allow_inf_nan=False)
PerMinute: TypeAlias = Annotated[float, _PER_MINUTE]
"""How many calls a minute: from one in 100 minutes up to more than any vendor allows."""
PerMinuteOrUsual: TypeAlias = Annotated[float | None, _PER_MINUTE]
"""The same where None leaves the vendor's usual rate in force."""
