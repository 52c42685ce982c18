"""What workflow documents may name: the actions of the vendors and our own, facts, connections."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from schemas.events import FAMILIES
from service.actions import VendorAction, index_actions
from service.own_events import VENDOR
from service.vendors import VENDORS
from service.vendors.base import Vendor
from service.workflows.catalogue import ActionSignature, Catalogue


def build_catalogue(
    *,
    vendors: Iterable[Vendor] = VENDORS,
    connections: Collection[str] | Mapping[str, str] | None = None,
    sources: Collection[str] | None = None,
) -> Catalogue:
    """Give what a document is checked against. None leaves connections or sources unchecked.

    `connections` may be names alone, or names with their vendors.
    """
    known = tuple(vendors)
    signatures = []
    for found in index_actions(known).values():
        action = found.action if isinstance(found, VendorAction) else found
        signatures.append(
            ActionSignature(action.name, action.params, action.outputs, action.summary)
        )
    return Catalogue.of(
        signatures,
        facts=FAMILIES,
        vendors=[VENDOR, *(vendor.name for vendor in known)],
        connections=connections,
        sources=sources,
    )
