"""Every vendor Hookwright knows, in one tuple."""

from __future__ import annotations

from service.vendors.base import Vendor

VENDORS: tuple[Vendor, ...] = ()

BY_NAME: dict[str, Vendor] = {vendor.name: vendor for vendor in VENDORS}

__all__ = ["BY_NAME", "VENDORS"]
