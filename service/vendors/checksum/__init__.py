"""Checksum: AI test generation, execution and auto-heal. Called and polled; it sends no webhooks.

Pages: checksum.ai/docs (API reference, auto-healing, integrations), the repositories
checksum-ai/test-run-action and checksum-ai/checksum-action. Read through the reference of 2026-11.
"""

from __future__ import annotations

from service.vendors.base import Guide, Outgoing, Rate, Vendor
from service.vendors.checksum.actions import ACTIONS
from service.vendors.checksum.client import (
    ChecksumCredentials,
    ChecksumOptions,
    auth_headers,
    check,
)
from service.vendors.checksum.polling import POLLS

VENDOR = Vendor(
    name="checksum",
    title="Checksum",
    guide=Guide(pages=("https://checksum.ai/docs",), configuration=""),
    outgoing=Outgoing(
        base_url="https://api.checksum.ai",
        credentials=ChecksumCredentials,
        options=ChecksumOptions,
        headers=auth_headers,
        # The vendor publishes no limit; one call a second is careful.
        rates=(Rate(calls=60),),
        check=check,
    ),
    actions=ACTIONS,
    polls=POLLS,
)

__all__ = ["VENDOR"]
