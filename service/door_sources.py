"""What the door knows of the sources, kept in memory: no delivery costs a query.

A thread asks every second whether the mark of the sources has changed and only then reads them
again. The book of sources is replaced as a whole; a source whose row cannot be used is closed by
itself and does not hinder the others.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from uuid import UUID

import structlog

from schemas.config import Limits
from schemas.configured_tables import SourceRow
from service.db import Database
from service.door_gate import LONGEST_RETRY_S
from service.errors import ConfigurationError, Unavailable
from service.secretbox import SecretBox
from service.source_secrets import open_secrets
from service.store.sources import read_sources, read_sources_mark
from service.unit_of_work import reading
from service.vendors.base import Incoming, Secret, Vendor, Verifier

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
LOOK_AGAIN_S = 1.0
"""An unknown name makes the book be read again, at most once in this time."""

LOOK_AGAIN_TIMEOUT_S = 2.0
STOP_TIMEOUT_S = 5.0
_NO_TOKEN = sha256(b"").digest()


@dataclass(slots=True)
class LiveSource:
    """One source, ready to judge deliveries.

    `closed` says why nothing is taken (`disabled`, `no_secret`, `misconfigured`), None when it is
    open. `_row` is what it was made from: an unchanged row keeps its source, and with it the
    state of its rate.
    """

    id: UUID
    name: str
    vendor: str
    closed: str | None
    limits: Limits
    incoming: Incoming | None = None
    options: Any = None
    verify: Verifier | None = None
    path_token: bytes | None = None
    secret_values: frozenset[str] = frozenset()
    _row: dict[str, Any] = field(default_factory=dict)
    _tokens: float = 0.0
    _seen: float = 0.0
    _line: float = 0.0

    def __post_init__(self) -> None:
        self._tokens = float(self.limits.burst)

    def was_made_from(self, row: dict[str, Any]) -> bool:
        """Say whether the row has not changed since."""
        return self._row == row

    def token_fits(self, token: str) -> bool:
        """Compare the path's token in constant time; without one configured none may be sent."""
        if self.path_token is None and not token:
            return True
        digest = sha256(token.encode("utf-8", "replace")).digest()
        return compare_digest(digest, self.path_token or _NO_TOKEN)

    def take_turn(self, monotonic: float) -> float:
        """Take one delivery from the rate: 0.0 when it fits, else the seconds until one does."""
        tokens = self._tokens_at(monotonic)
        self._seen = monotonic
        self._tokens = tokens - 1 if tokens >= 1 else tokens
        return 0.0 if tokens >= 1 else (1 - tokens) / self.limits.per_second

    def is_over_rate(self, monotonic: float) -> bool:
        """Say whether no delivery fits the rate now, without taking one from it."""
        return self._tokens_at(monotonic) < 1

    def place_in_line(self, monotonic: float) -> float:
        """Give the seconds after which a delivery above the rate may come again.

        Each is given a later place, as fast as the rate goes: whoever is told to wait does not
        meet all the others again.
        """
        self._line = max(self._line, monotonic) + 1 / self.limits.per_second
        return min(self._line - monotonic, LONGEST_RETRY_S)

    def _tokens_at(self, monotonic: float) -> float:
        tokens = self._tokens + (monotonic - self._seen) * self.limits.per_second
        return min(tokens, self.limits.burst)


def open_source(row: SourceRow, vendors: Mapping[str, Vendor], box: SecretBox) -> LiveSource:
    """Make a row ready for the door. A row that cannot be used gives a closed source."""
    kept = row.model_dump()
    try:
        return _open_source(row, kept, vendors, box)
    except ConfigurationError as error:
        fault = error.message
    except (ValueError, TypeError, LookupError) as error:
        # Pydantic repeats what it was given, which may be a secret put in the wrong place.
        fault = f"{type(error).__name__} in its options, limits or secrets"
    log.warning(
        "source_cannot_be_used",
        source=row.name,
        vendor=row.vendor,
        error=fault,
        consequence="its deliveries are answered 404 until it is corrected",
    )
    return _closed(row, kept, "misconfigured")


def _open_source(
    row: SourceRow, kept: dict[str, Any], vendors: Mapping[str, Vendor], box: SecretBox
) -> LiveSource:
    if not row.enabled:
        return _closed(row, kept, "disabled")
    vendor = vendors.get(row.vendor)
    if vendor is None or vendor.incoming is None:
        raise ConfigurationError(f"the vendor {row.vendor!r} sends no webhooks known here")
    incoming = vendor.incoming
    options = incoming.options.model_validate(row.options)
    secrets = open_secrets(box, row.secrets)
    verify = _verifier(incoming, options, secrets, has_path_token=bool(row.path_token_sha256))
    if verify is None:
        log.warning("source_has_no_secret", source=row.name, vendor=row.vendor)
        return _closed(row, kept, "no_secret")
    return LiveSource(
        id=row.id,
        name=row.name,
        vendor=row.vendor,
        closed=None,
        limits=Limits.model_validate(row.limits),
        incoming=incoming,
        options=options,
        verify=verify,
        path_token=bytes.fromhex(row.path_token_sha256) if row.path_token_sha256 else None,
        secret_values=frozenset(secret.value for secret in secrets),
        _row=kept,
    )


def _verifier(
    incoming: Incoming, options: Any, secrets: list[Secret], *, has_path_token: bool
) -> Verifier | None:
    """Give the check of a source, or None when nothing would prove where a delivery is from."""
    is_provable = bool(secrets) if incoming.wants_secret(options) else has_path_token
    return incoming.verifier(options, secrets) if is_provable else None


def _closed(row: SourceRow, kept: dict[str, Any], reason: str) -> LiveSource:
    return LiveSource(
        id=row.id, name=row.name, vendor=row.vendor, closed=reason, limits=Limits(), _row=kept
    )


class SourceBook:
    """Every source by name, kept up to date by a thread."""

    def __init__(
        self,
        database: Database,
        vendors: Mapping[str, Vendor],
        box: SecretBox,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._vendors = vendors
        self._box = box
        self._monotonic = monotonic
        self._sources: dict[str, LiveSource] = {}
        self._mark: int | None = None
        self._fault: str | None = None
        self._wanted = threading.Event()
        self._stopping = False
        self._asked = -LOOK_AGAIN_S
        self._readers: list[asyncio.Future[None]] = []
        self._thread = threading.Thread(target=self._keep, name="door-sources", daemon=True)

    @property
    def is_known(self) -> bool:
        """Say whether the sources were ever read: without that no name can be called unknown."""
        return self._mark is not None

    def get(self, name: str) -> LiveSource | None:
        """Give the source of this name."""
        return self._sources.get(name)

    async def start(self) -> None:
        """Start the thread and wait until it has read the sources, or could not."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        await self._next_reading()

    async def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._wanted.set()
        await asyncio.to_thread(self._thread.join, STOP_TIMEOUT_S)

    async def look_again(self, name: str) -> LiveSource | None:
        """Give a source that was not there a moment ago, reading again at most once a second."""
        now = self._monotonic()
        if now - self._asked >= LOOK_AGAIN_S:
            self._asked = now
            await self._next_reading()
        return self._sources.get(name)

    async def _next_reading(self) -> None:
        reader = self._loop.create_future()
        self._readers.append(reader)
        self._wanted.set()
        try:
            await asyncio.wait_for(reader, LOOK_AGAIN_TIMEOUT_S)
        except TimeoutError:
            log.warning("sources_not_read_in_time")

    def _keep(self) -> None:
        while not self._stopping:
            self._wanted.clear()
            fault = self._try_to_refresh()
            if fault is not None and fault != self._fault:  # tried again and again, said once
                log.warning("sources_not_read", error=fault)
            self._fault = fault
            try:
                self._loop.call_soon_threadsafe(self._wake_readers)
            except RuntimeError:  # the loop was closed under us
                return
            self._wanted.wait(LOOK_EVERY_S)

    def _try_to_refresh(self) -> str | None:
        """Read what has changed; gives what hindered it."""
        try:
            self._refresh()
        except Unavailable as error:
            return error.message
        except Exception as error:  # noqa: BLE001  # the outermost frame of this thread
            return f"{type(error).__name__}: {error}"
        return None

    def _wake_readers(self) -> None:
        readers, self._readers = self._readers, []
        for reader in readers:
            if not reader.done():
                reader.set_result(None)

    def _refresh(self) -> None:
        with reading(self._database) as session:
            mark = read_sources_mark(session)
            if mark == self._mark:
                return
            # The mark first: what changes after this line changes the mark once more.
            rows = read_sources(session)
        kept = self._sources
        sources = {}
        for row in rows:
            earlier = kept.get(row.name)
            if earlier is not None and earlier.was_made_from(row.model_dump()):
                sources[row.name] = earlier
            else:
                sources[row.name] = open_source(row, self._vendors, self._box)
        self._sources = sources
        self._mark = mark
        log.info("sources_read", sources=len(sources), mark=mark)
