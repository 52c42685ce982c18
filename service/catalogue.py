"""What workflow documents may name: the actions of the vendors and our own, facts, connections."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pydantic import BaseModel

from schemas.events import CreditsFacts, TestRunFacts
from service.actions import VendorAction, index_actions
from service.vendors import VENDORS
from service.vendors.base import Vendor
from service.workflows.catalogue import ActionSignature, Catalogue

FACTS: Mapping[str, type[BaseModel]] = {
    "test_run": TestRunFacts,
    "test_case": TestRunFacts,
    "visual_regression": TestRunFacts,
    "credits": CreditsFacts,
}
"""The facts of each family of events (contract §7). A family that is not here is unchecked."""


def build_catalogue(
    *,
    vendors: Iterable[Vendor] = VENDORS,
    connections: Collection[str] | None = None,
) -> Catalogue:
    """Give what a document is checked against. `connections` of None leaves them unchecked."""
    known = tuple(vendors)
    signatures = []
    for found in index_actions(known).values():
        action = found.action if isinstance(found, VendorAction) else found
        signatures.append(
            ActionSignature(action.name, action.params, action.outputs, action.summary)
        )
    return Catalogue.of(
        signatures,
        facts=FACTS,
        vendors=[vendor.name for vendor in known],
        connections=connections,
    )
