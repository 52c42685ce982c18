"""Facts of a generic body: read by the configured paths, shaped as their family wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from schemas.events import FAMILIES, Facts, Json
from service.vendors.base import dig
from service.vendors.reading import put


def read_facts(type_: str, body: Json, paths: Mapping[str, str]) -> dict[str, Any]:
    """Give the facts found at the paths.

    For a type of a family they have the family's form, and what does not fit it is left out.
    """
    found: dict[str, Any] = {}
    for name, path in paths.items():
        value = dig(body, path)
        if value is not None:
            put(found, name, value)
    family = FAMILIES.get(type_.partition(".")[0])
    return found if family is None else _shaped(family, found)


def _shaped(family: type[Facts], found: dict[str, Any]) -> dict[str, Any]:
    try:
        return family.model_validate(found).model_dump(mode="json")
    except ValidationError as error:
        unfit = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
    fit = {name: value for name, value in found.items() if name not in unfit}
    return family.model_validate(fit).model_dump(mode="json")
