"""The vendors Hookwright knows, as one tuple that can be read; nothing is found by scanning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from service.vendors import checkly, checkrd, checksum, generic, github, slack, vibeview
from service.vendors.base import Vendor

__all__ = ["BY_NAME", "VENDORS"]

VENDORS: tuple[Vendor, ...] = (
    vibeview.VENDOR,
    checkly.VENDOR,
    checkrd.VENDOR,
    checksum.VENDOR,
    github.VENDOR,
    slack.VENDOR,
    generic.VENDOR,
)

BY_NAME: Mapping[str, Vendor] = MappingProxyType({vendor.name: vendor for vendor in VENDORS})
