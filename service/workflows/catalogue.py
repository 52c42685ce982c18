"""What a document may use, as its checker needs to know it. Given by the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from schemas.document import Input


@dataclass(frozen=True, slots=True)
class ActionSignature:
    """An action's typed parameters and outputs. `outputs` of None: nobody knows them."""

    name: str
    params: type[BaseModel]
    outputs: type[BaseModel] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowSignature:
    """What a step that calls a workflow gives it, and the names of what it gets back."""

    name: str
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    is_callable: bool = True
    """Whether it has the trigger `manual`."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that can be named.

    `facts` gives the facts' model by family (`test_run`). `vendors`, `connections` (with their
    vendors, where they are a mapping) and `sources` are the known names; None leaves them
    unchecked. So does None for `workflows`; with `all_workflows` there are no others.
    """

    actions: Mapping[str, ActionSignature]
    facts: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    vendors: Collection[str] | None = None
    connections: Collection[str] | Mapping[str, str] | None = None
    sources: Collection[str] | None = None
    workflows: Mapping[str, WorkflowSignature] | None = None
    all_workflows: bool = False

    @classmethod
    def of(
        cls,
        actions: Iterable[ActionSignature],
        *,
        facts: Mapping[str, type[BaseModel]] | None = None,
        vendors: Collection[str] | None = None,
        connections: Collection[str] | Mapping[str, str] | None = None,
        sources: Collection[str] | None = None,
    ) -> Catalogue:
        """Build a catalogue from a list of actions."""
        return cls(
            {item.name: item for item in actions}, facts or {}, vendors, connections, sources
        )

    def with_workflows(
        self, workflows: Iterable[WorkflowSignature], *, are_all: bool = True
    ) -> Catalogue:
        """Give this catalogue with the workflows that a step may call."""
        known = {item.name: item for item in workflows}
        return replace(self, workflows=known, all_workflows=are_all)

    def vendor_of(self, connection: str) -> str | None:
        """Give the vendor of a connection, None when it is not known."""
        known = self.connections
        return known.get(connection) if isinstance(known, Mapping) else None
