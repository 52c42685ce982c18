"""Connections: which vendor account a step or a poll speaks to, and the client it speaks with."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from pydantic import ValidationError

from schemas.configured_tables import ConnectionRow
from schemas.plain_words import faults_in_plain_words
from service.call_rates import RateKeeper
from service.db import Session
from service.errors import ConfigurationError
from service.http import VendorHttp
from service.http_connect import connect
from service.secretbox import SecretBox
from service.store import connections as store
from service.vendors.base import Outgoing, Vendor


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """A connection ready to be called."""

    name: str
    credentials: Any
    options: Any
    http: VendorHttp


class Connections:
    """Keeps one client per connection until the connection's row changes. Thread-safe."""

    def __init__(
        self,
        secret_keys: Sequence[str],
        *,
        private_addresses: bool | tuple[IPv4Network | IPv6Network, ...],
        rates: RateKeeper | None = None,
    ) -> None:
        self._box = SecretBox(secret_keys)
        self._private_addresses = private_addresses
        self._rates = rates or RateKeeper()
        self._lock = threading.Lock()
        self._open: dict[str, tuple[datetime, OpenConnection]] = {}

    def choose(self, session: Session, vendor: Vendor, name: str | None) -> ConnectionRow:
        """Give the named connection, or the vendor's only one.

        Raises ConfigurationError when there is none, more than one, or one of another vendor.
        """
        if name is not None:
            row = store.named(session, name)
            if row is None or row.vendor != vendor.name:
                found = "does not exist" if row is None else f"belongs to {row.vendor}"
                raise ConfigurationError(
                    f"the step needs a connection of {vendor.name}, but {name!r} {found}"
                )
            return row
        rows = store.of_vendor(session, vendor.name, limit=2)
        if not rows:
            raise ConfigurationError(
                f"there is no connection of {vendor.name}",
                hint=f"add one under `connections:` with `vendor: {vendor.name}` and apply it",
            )
        if len(rows) > 1:
            raise ConfigurationError(
                f"there are several connections of {vendor.name}",
                hint="name the one to use with `connection:` in the step",
            )
        return rows[0]

    def by_name(self, session: Session, name: str) -> ConnectionRow:
        """Give a connection. Raises ConfigurationError when there is none of this name."""
        row = store.named(session, name)
        if row is None:
            raise ConfigurationError(f"the connection {name!r} does not exist")
        return row

    def open(self, row: ConnectionRow, vendor: Vendor) -> OpenConnection:
        """Give the client of a connection. Raises ConfigurationError when it is not usable."""
        with self._lock:
            known = self._open.get(row.name)
            if known is not None and known[0] == row.updated_at:
                return known[1]
            opened = self._build(row, vendor)
            self._open[row.name] = (row.updated_at, opened)
            # The client that was replaced is not closed here: a call may still be using it.
            return opened

    def open_anew(self, row: ConnectionRow, vendor: Vendor) -> OpenConnection:
        """Give a client that remembers nothing of earlier answers; it keeps the same rates.

        Raises ConfigurationError when the connection is not usable.
        """
        return self._build(row, vendor)

    def _build(self, row: ConnectionRow, vendor: Vendor) -> OpenConnection:
        outgoing = outgoing_of(vendor)
        try:
            credentials = outgoing.credentials.model_validate(self._box.open(row.credentials))
            options = outgoing.options.model_validate(row.options)
        except ValidationError as error:
            raise ConfigurationError(
                f"the connection {row.name!r} is not usable: {faults_in_plain_words(error)}",
                hint="correct it in hookwright.yaml and run `hookwright apply`",
            ) from None
        http = connect(
            vendor,
            base_url=row.base_url,
            credentials=credentials,
            options=options,
            allow_private=self._private_addresses,
            keeper=self._rates,
        )
        return OpenConnection(row.name, credentials, options, http)


def outgoing_of(vendor: Vendor) -> Outgoing:
    """Give how a vendor is called. Raises ConfigurationError when it is not called at all."""
    if vendor.outgoing is None:
        raise ConfigurationError(f"{vendor.title} is not called by Hookwright")
    return vendor.outgoing
