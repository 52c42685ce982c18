"""What workflow documents may name: the actions of the vendors and our own, facts, connections."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from schemas.events import FAMILIES
from service.actions import Actions, VendorAction
from service.own_events import VENDOR
from service.vendors import BY_NAME
from service.vendors.base import Vendor
from service.workflows.catalogue import ActionSignature, Catalogue


def build_catalogue(
    *,
    vendors: Mapping[str, Vendor] = BY_NAME,
    connections: Collection[str] | Mapping[str, str] | None = None,
    sources: Collection[str] | None = None,
) -> Catalogue:
    """Give what a document is checked against. None leaves connections or sources unchecked.

    `connections` may be names alone, or names with their vendors.
    """
    return Catalogue(
        actions=_Signatures(Actions(vendors)),
        facts=FAMILIES,
        vendors=[VENDOR, *vendors],
        connections=connections,
        sources=sources,
    )


class _Signatures(Mapping[str, ActionSignature]):
    """What documents may know of each action."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions

    def __getitem__(self, name: str) -> ActionSignature:
        found = self._actions[name]
        action = found.action if isinstance(found, VendorAction) else found
        return ActionSignature(action.name, action.params, action.outputs, action.summary)

    def __iter__(self) -> Iterator[str]:
        return iter(self._actions)

    def __len__(self) -> int:
        return len(self._actions)
