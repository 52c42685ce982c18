"""Sources as they are now, ready to judge requests that came before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.configured_tables import SourceRow
from schemas.tables import RejectionRow
from service.door_sources import LiveSource, open_source
from service.errors import SignatureError
from service.refused import Whole
from service.secretbox import SecretBox
from service.source_secrets import open_secrets
from service.vendors.base import Delivery, Headers, Incoming, Secret, Vendor, Verifier

NO_LIVE_SECRET = "no_live_secret"  # noqa: S105  # the verifiers' word for why they refuse
WRONG_PATH_TOKEN = "wrong_path_token"  # noqa: S105  # the door's
MISCONFIGURED = "misconfigured"
"""The door's words for why it refuses, as far as they are needed elsewhere."""


@dataclass(frozen=True, slots=True)
class Prover:
    """One source with the secrets that are live now. `closed`: why it proves nothing."""

    live: LiveSource
    closed: str | None
    verify: Verifier | None = None
    incoming: Incoming | None = None

    @property
    def options(self) -> Any:
        """The source's typed options."""
        return self.live.options

    def prove(self, row: RejectionRow, whole: Whole) -> Delivery:
        """Give a refused request as a delivery of this source.

        The present for its signed time is when it came. Raises SignatureError.
        """
        if self.closed is not None or self.verify is None:
            raise SignatureError(self.closed or MISCONFIGURED)
        if not self.live.token_fits(whole.token):
            raise SignatureError(WRONG_PATH_TOKEN)
        delivery = Delivery(self.live.name, Headers(whole.headers), row.body, row.received_at)
        self.verify(delivery, row.received_at)
        return delivery


def open_prover(
    row: SourceRow, vendors: Mapping[str, Vendor], box: SecretBox, now: datetime
) -> Prover:
    """Make a source ready. One that cannot be used gives a closed one, and is told in the log."""
    live = open_source(row, vendors, box)
    incoming = live.incoming
    if live.closed is not None or incoming is None:
        return Prover(live, live.closed or MISCONFIGURED)
    if not incoming.wants_secret(live.options):
        return Prover(live, None, live.verify, incoming)
    # A secret counts when it is live now: at the time of the request it was perhaps not yet known.
    secrets = [secret for secret in open_secrets(box, row.secrets) if secret.is_live(now)]
    if not secrets:
        return Prover(live, NO_LIVE_SECRET, None, incoming)
    verify = incoming.verifier(live.options, [Secret(secret.value) for secret in secrets])
    return Prover(live, None, verify, incoming)


def open_provers(
    rows: Iterable[SourceRow], vendors: Mapping[str, Vendor], box: SecretBox, now: datetime
) -> dict[str, Prover]:
    """Give sources by name."""
    return {row.name: open_prover(row, vendors, box, now) for row in rows}
