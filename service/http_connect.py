"""The client of one connection, made as its vendor says: address, authentication, rates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import httpx
from pydantic import BaseModel, SecretStr

from service.address_guard import AddressGuard, Network
from service.call_rates import Limiter, LocalSlots, RateKeeper, rates_with
from service.errors import ConfigurationError
from service.http import QUICK_S, Timing, VendorHttp
from service.vendors.base import Vendor


def connect(
    vendor: Vendor,
    *,
    base_url: str | None,
    credentials: Any,
    options: Any,
    allow_private: bool | Sequence[Network] = False,
    keeper: RateKeeper | None = None,
    timing: Timing | None = None,
    transport: httpx.BaseTransport | None = None,
) -> VendorHttp:
    """Give the client of one connection; the caller keeps it and closes it.

    `credentials` and `options` are the vendor's own models. An option `per_minute` replaces the
    vendor's first rate. `keeper` holds the rates of credentials beyond this one client (None: the
    client keeps its own). `allow_private` is what AddressGuard takes. Raises ConfigurationError
    when the vendor has no API or the address is none.
    """
    outgoing = vendor.outgoing
    if outgoing is None:
        raise ConfigurationError(f"{vendor.title} has no API that Hookwright calls")
    used = timing or Timing()
    base = base_url or outgoing.base_url
    slots = (
        keeper.slots(_credential_key(vendor.name, base, credentials))
        if keeper
        else (LocalSlots(used.monotonic),)
    )
    fetch = outgoing.token
    return VendorHttp(
        base_url=base,
        headers=outgoing.headers(credentials, options),
        fetch_token=None
        if fetch is None
        else lambda http, now: fetch(http, credentials, options, now),
        limiter=Limiter(
            rates_with(outgoing.rates, getattr(options, "per_minute", None)),
            slots,
            max_wait_s=QUICK_S,
            monotonic=used.monotonic,
            sleep=used.sleep,
        ),
        keep_back=outgoing.keep_back,
        guard=AddressGuard(allow_private),
        who=vendor.title,
        timing=used,
        transport=transport,
    )


def _credential_key(vendor: str, base_url: str, credentials: BaseModel) -> str:
    """Give what names a credential among all processes and tells nothing about it."""
    plain = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in credentials
    }
    text = json.dumps([vendor, base_url.rstrip("/"), plain], sort_keys=True)
    return f"{vendor}:{hashlib.sha256(text.encode()).hexdigest()[:24]}"
