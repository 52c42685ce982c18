"""Every action a workflow can use, by name: those of the vendors and our own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.own_actions import OWN_ACTIONS, OwnAction
from service.vendors.base import Action, Vendor


@dataclass(frozen=True, slots=True)
class VendorAction:
    """An action and the vendor whose connection it needs."""

    vendor: Vendor
    action: Action


AnyAction = VendorAction | OwnAction
_OWN = {action.name: action for action in OWN_ACTIONS}


class Actions(Mapping[str, AnyAction]):
    """All actions by name. A vendor's begin with its name: the others need not be loaded for it."""

    def __init__(self, vendors: Mapping[str, Vendor]) -> None:
        self._vendors = vendors
        self._known: dict[str, Mapping[str, AnyAction]] = {}

    def __getitem__(self, name: str) -> AnyAction:
        """Give an action. Raises KeyError."""
        if name in _OWN:
            return _OWN[name]
        return self._of(name.partition(".")[0])[name]

    def __iter__(self) -> Iterator[str]:
        """Give all names; loads every vendor."""
        yield from _OWN
        for vendor in self._vendors:
            yield from self._of(vendor)

    def __len__(self) -> int:
        """Give how many there are; loads every vendor."""
        return sum(1 for _ in self)

    def _of(self, vendor_name: str) -> Mapping[str, AnyAction]:
        if vendor_name not in self._known:
            vendor = self._vendors[vendor_name]
            self._known[vendor_name] = {
                action.name: VendorAction(vendor, action) for action in vendor.actions
            }
        return self._known[vendor_name]
