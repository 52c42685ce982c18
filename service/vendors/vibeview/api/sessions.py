"""Live sessions, their queue, and the devices they run on (vendors.md §1.4)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AliasChoices, Field

from schemas.events import Json
from service.http import path_of
from service.vendors.reading import Payload, Text, Whole
from service.vendors.vibeview.api.calling import Calls, rows_of


class Session(Payload):
    """A session: `pending`, `starting`, `active`, `stopped`, `failed`; or `queued` for a device.

    While it is queued, `position` is its place and `queue_entry_id` is what leaving wants.
    """

    id: Text = Field(default=None, validation_alias=AliasChoices("id", "session_id"))
    status: Text = None
    queue_entry_id: Whole = None
    position: Whole = None

    @property
    def is_queued(self) -> bool:
        """Whether no device was free."""
        return self.status == "queued"


class Device(Payload):
    """A device; `device_id` is what CI calls take."""

    id: Text = None
    device_id: Text = None
    worker_id: Text = None
    name: Text = None
    type: Text = None
    category: Text = None
    os_version: Text = None
    status: Text = None


class Pool(Payload):
    """Devices of one kind, and how many of them are free."""

    group_key: Text = None
    model: Text = None
    os_version: Text = None
    device_type: Text = None
    category: Text = None
    total: Whole = None
    free: Whole = None


class SessionCalls(Calls):
    """Live sessions."""

    def create(self, settings: Mapping[str, Json] | None = None) -> Session:
        """Make a session; the members of `settings` are not published."""
        return self._ask("POST", "/sessions/", json=dict(settings or {})).read(Session)

    def start(self, session_id: str) -> Session:
        """Start a session; it is queued when no device is free."""
        return self._ask("POST", f"/sessions{path_of(session_id)}/start").read(Session)

    def stop(self, session_id: str) -> None:
        """Stop a session."""
        self._ask("DELETE", f"/sessions{path_of(session_id)}", safe=True)

    def leave_queue(self, queue_entry_id: int) -> None:
        """Wait for a device no longer."""
        self._ask("DELETE", f"/sessions/queue{path_of(queue_entry_id)}", safe=True)

    def leave_queue_by_post(self, queue_entry_id: int) -> None:
        """Wait for a device no longer, where a proxy lets no DELETE through."""
        self._ask("POST", f"/sessions/queue{path_of(queue_entry_id)}/leave", safe=True)


class DeviceCalls(Calls):
    """Devices; look at the pools before starting many runs."""

    def all(self, *, device_type: str | None = None, category: str | None = None) -> list[Device]:
        """Give the devices, those of a type or category when named."""
        params = {"device_type": device_type, "category": category}
        return rows_of(self._get("/devices/", params, role="viewer"), Device, "devices")

    def pools(self) -> list[Pool]:
        """Give how many devices of each kind there are and are free."""
        return rows_of(self._get("/devices/pools", role="viewer"), Pool, "pools")
