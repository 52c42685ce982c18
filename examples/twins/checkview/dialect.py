"""How member names are written: the vendor publishes neither, so both can be chosen."""

import re
from typing import Literal

Dialect = Literal["snake", "camel"]
_WORD = re.compile(r"_([a-z0-9])")


def speak(value: object, dialect: Dialect) -> object:
    """The same JSON value with member names in this dialect; it is given with snake_case."""
    if dialect == "snake":
        return value
    if isinstance(value, dict):
        return {_camel(str(name)): speak(inner, dialect) for name, inner in value.items()}
    if isinstance(value, list):
        return [speak(inner, dialect) for inner in value]
    return value


def _camel(name: str) -> str:
    return _WORD.sub(lambda found: found.group(1).upper(), name)
