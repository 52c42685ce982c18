"""A source to which a twin delivers: each delivery is proven and kept as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from schemas.events import EventDraft
from service.errors import SignatureError
from service.vendors.base import Delivery, Headers, Incoming, Options, Secret, Vendor
from tests import listening


class Inbox:
    """What one vendor's twin delivered.

    Without a `secret` nothing is proven. `answers` are statuses for the next deliveries; one that
    is not 2xx means that the delivery is lost. `answer` is the status for all others, which are
    kept whatever it is: of those with a 500 the sender never learns that they were kept.
    """

    def __init__(self, vendor: Vendor, *, secret: str = "", options: Options | None = None) -> None:
        assert vendor.incoming is not None
        self.vendor = vendor
        self.incoming: Incoming = vendor.incoming
        self.options = options or vendor.incoming.options()
        self.verify = self.incoming.verifier(self.options, [Secret(secret)]) if secret else None
        self.url = ""
        self.received: list[Delivery] = []
        self.refused = 0
        self.answers: list[int] = []
        self.answer = 202

    def take(self, headers: list[tuple[str, str]], body: bytes) -> int:
        """Keep a delivery if it is proven; gives the status of the answer."""
        now = datetime.now(UTC)
        delivery = Delivery(self.vendor.name, Headers(headers), body, now)
        if self.verify is not None:
            try:
                self.verify(delivery, now)
            except SignatureError:
                self.refused += 1
                return 401
        status = self.answers.pop(0) if self.answers else 0
        if status >= 300:
            return status
        self.received.append(delivery)
        return status or self.answer

    def key(self, delivery: Delivery) -> str:
        return self.incoming.delivery_key(delivery, self.options)

    def keys(self) -> list[str]:
        """The key of each delivery, as often as it came."""
        return [self.key(delivery) for delivery in self.received]

    @property
    def stored(self) -> dict[str, Delivery]:
        """What a source keeps of them: the first delivery of each key."""
        kept: dict[str, Delivery] = {}
        for delivery in self.received:
            kept.setdefault(self.key(delivery), delivery)
        return kept

    def events(self) -> list[EventDraft]:
        """What the stored ones say; those that cannot be read say nothing."""
        found: list[EventDraft] = []
        for delivery in self.stored.values():
            try:
                found += self.incoming.normalise(delivery, self.options)
            except ValueError:
                continue
        return found

    def facts(self) -> list[str]:
        return [event.fact for event in self.events()]


@contextmanager
def open_inbox(
    vendor: Vendor, *, secret: str = "", options: Options | None = None
) -> Iterator[Inbox]:
    """Listen until the block ends."""
    found = Inbox(vendor, secret=secret, options=options)
    with listening.listen(f"/hooks/{vendor.name}/token", found.take) as url:
        found.url = url
        yield found
