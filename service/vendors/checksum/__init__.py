"""Checksum: AI test generation, execution and auto-heal. Called and polled.

It documents no webhooks for customers; a source takes one in the form that vendors.md §5.1 assumes.
Pages: checksum.ai/docs (API reference, auto-healing, integrations), the repositories
checksum-ai/test-run-action and checksum-ai/checksum-action. Read through the reference of 2026-11.
"""

from __future__ import annotations

from service.vendors.base import Incoming, Outgoing, Rate, Vendor
from service.vendors.checksum.actions import ACTIONS
from service.vendors.checksum.client import check
from service.vendors.checksum.events import TYPES, delivery_key, normalise
from service.vendors.checksum.guide import GUIDE
from service.vendors.checksum.options import (
    ChecksumCredentials,
    ChecksumOptions,
    ChecksumSourceOptions,
    auth_headers,
)
from service.vendors.checksum.polling import POLLS
from service.vendors.checksum.signing import sign, verifier

VENDOR = Vendor(
    name="checksum",
    title="Checksum",
    guide=GUIDE,
    incoming=Incoming(
        options=ChecksumSourceOptions,
        verifier=verifier,
        delivery_key=delivery_key,
        normalise=normalise,
        sign=sign,
        types=TYPES,
    ),
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
