"""What a document may use, as its checker needs to know it. Given by the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class ActionSignature:
    """An action's typed parameters and outputs. `outputs` of None: nobody knows them."""

    name: str
    params: type[BaseModel]
    outputs: type[BaseModel] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that can be named.

    `facts` gives the facts' model by family (`test_run`). `vendors` and `connections` are the
    known names; None leaves them unchecked.
    """

    actions: Mapping[str, ActionSignature]
    facts: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    vendors: Collection[str] | None = None
    connections: Collection[str] | None = None

    @classmethod
    def of(
        cls,
        actions: Iterable[ActionSignature],
        *,
        facts: Mapping[str, type[BaseModel]] | None = None,
        vendors: Collection[str] | None = None,
        connections: Collection[str] | None = None,
    ) -> Catalogue:
        """Build a catalogue from a list of actions."""
        return cls({item.name: item for item in actions}, facts or {}, vendors, connections)
