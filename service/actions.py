"""Every action a workflow can use, by name: those of the vendors and our own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from service.own_actions import OWN_ACTIONS, OwnAction
from service.vendors.base import Action, Vendor


@dataclass(frozen=True, slots=True)
class VendorAction:
    """An action and the vendor whose connection it needs."""

    vendor: Vendor
    action: Action


AnyAction = VendorAction | OwnAction


def index_actions(vendors: Iterable[Vendor]) -> dict[str, AnyAction]:
    """Give all actions by name."""
    found: dict[str, AnyAction] = {action.name: action for action in OWN_ACTIONS}
    for vendor in vendors:
        for action in vendor.actions:
            found[action.name] = VendorAction(vendor, action)
    return found
