"""Live sessions, the queue for a device, and the devices (reference 1.4)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.record import mark_effect
from examples.twins.vibeview.devices import SessionBook
from examples.twins.vibeview.organisation import API, Organisation, refusal


class Sessions:
    """The `sessions` and `devices` calls."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        sessions, devices = f"{API}/sessions", f"{API}/devices"
        entry, post, delete = f"{sessions}/queue/{{entry:int}}", ["POST"], ["DELETE"]
        return (
            Route(f"{sessions}/", self.create, methods=post),
            Route(f"{sessions}/{{id}}/start", self.start, methods=post),
            Route(entry, self.leave, methods=delete),
            Route(f"{entry}/leave", self.leave, methods=post),
            Route(f"{sessions}/{{id}}", self.stop, methods=delete),
            Route(f"{devices}/", self.list_devices, methods=["GET"]),
            Route(f"{devices}/pools", self.list_pools, methods=["GET"]),
        )

    async def create(self, request: Request) -> Response:
        """Make a session."""
        mark_effect(request)
        return JSONResponse({"id": self._book.create(), "status": "pending"}, 201)

    async def start(self, request: Request) -> Response:
        """Start a session, or queue it."""
        session_id = self._known(request)
        entry = self._book.start(session_id)
        mark_effect(request)
        if entry is None:
            return JSONResponse({"id": session_id, "status": "starting"})
        position = list(self._book.queue).index(entry) + 1
        queued = {"status": "queued", "queue_entry_id": entry, "position": position}
        return JSONResponse({**queued, "session_id": session_id}, 202)

    async def stop(self, request: Request) -> Response:
        """Stop a session."""
        self._book.sessions[self._known(request)] = "stopped"
        mark_effect(request)
        return JSONResponse({"status": "stopped"})

    async def leave(self, request: Request) -> Response:
        """Leave the queue."""
        if self._book.queue.pop(request.path_params["entry"], None) is None:
            raise refusal(404, "Queue entry not found")
        mark_effect(request)
        return JSONResponse({"status": "left"})

    async def list_devices(self, request: Request) -> Response:
        """Devices of a type or a category."""
        asked = request.query_params
        return JSONResponse(
            [
                one
                for one in self._book.show_devices()
                if asked.get("device_type", one["type"]) == one["type"]
                and asked.get("category", one["category"]) == one["category"]
            ]
        )

    async def list_pools(self, _: Request) -> Response:
        """How many devices of each kind are free."""
        return JSONResponse({"pools": self._book.show_pools()})

    @property
    def _book(self) -> SessionBook:
        return self._organisation.sessions

    def _known(self, request: Request) -> str:
        session_id = str(request.path_params["id"])
        if session_id not in self._book.sessions:
            raise refusal(404, "Session not found")
        return session_id
