"""What every part of a document is made of: its base, and the texts it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

STEP_ID_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
EVENT_PATTERN = r"^[a-z0-9_*][a-z0-9_.*-]*$"


class Part(BaseModel):
    """Base of every part of a document: immutable, unknown keys refused, written by alias."""

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", serialize_by_alias=True
    )


Text = Annotated[StrictStr, Field(min_length=1)]
Condition = Annotated[StrictStr | StrictBool, Field(description="A CEL expression.")]
Expression = Annotated[Text, Field(description="A CEL expression.")]
DurationText = Annotated[
    StrictStr,
    Field(
        pattern=r"^(\d+(\.\d+)?(ms|s|m|h|d)|\$\{\{[\s\S]*\}\})$",
        description="`500ms`, `15s`, `5m`, `2h`, `1d`, or one whole `${{ … }}` of vars and event.",
    ),
]
PlainDuration = Annotated[
    StrictStr,
    Field(pattern=r"^\d+(\.\d+)?(ms|s|m|h|d)$", description="`500ms`, `15s`, `5m`, `2h`, `1d`."),
]
CountOrText = Annotated[
    Annotated[StrictInt, Field(ge=1, le=100)]
    | Annotated[StrictStr, Field(pattern=r"^\$\{\{[\s\S]*\}\}$")],
    Field(description="A number, or one whole `${{ … }}` of vars and event."),
]
EventPattern = Annotated[StrictStr, Field(pattern=EVENT_PATTERN, max_length=200)]
StepId = Annotated[StrictStr, Field(pattern=STEP_ID_PATTERN)]


def first_kind(value: Any, kinds: tuple[str, ...]) -> str | None:
    """Give the first of these keys that a part, plain or validated, has."""
    if isinstance(value, Mapping):
        return next((kind for kind in kinds if kind in value), None)
    return next((kind for kind in kinds if hasattr(value, kind)), None)
