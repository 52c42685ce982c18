"""The sessions and devices of one VibeView organisation (reference 1.4)."""

from itertools import count
from uuid import uuid4

CATEGORIES = ("phone", "phone", "tablet")
BUSY = frozenset({"starting", "active"})


class SessionBook:
    """The sessions of one organisation; as many can be active as there are devices."""

    def __init__(self) -> None:
        self._numbers = count(41)
        self.sessions: dict[str, str] = {}
        self.queue: dict[int, str] = {}

    def create(self) -> str:
        """Make a session that is not started yet; gives its id."""
        session_id = str(uuid4())
        self.sessions[session_id] = "pending"
        return session_id

    def start(self, session_id: str) -> int | None:
        """Start a session; gives its entry in the queue when no device is free."""
        if self.free() > 0:
            self.sessions[session_id] = "starting"
            return None
        entry = next(self._numbers)
        self.queue[entry] = session_id
        return entry

    def free(self) -> int:
        """How many devices are free."""
        return len(CATEGORIES) - sum(status in BUSY for status in self.sessions.values())

    def show_devices(self) -> list[dict[str, object]]:
        """Every device."""
        busy = len(CATEGORIES) - self.free()
        return [
            {
                "id": number,
                "device_id": f"device-{number}",
                "worker_id": "worker-1",
                "name": f"Simulator {number}",
                "type": "ios",
                "category": category,
                "os_version": "18.2",
                "status": "busy" if number <= busy else "available",
            }
            for number, category in enumerate(CATEGORIES, 1)
        ]

    def show_pools(self) -> list[dict[str, object]]:
        """Devices of one kind, and how many of them are free."""
        devices = self.show_devices()
        return [
            {
                "group_key": f"ios:{category}",
                "model": f"Simulated {category}",
                "os_version": "18.2",
                "device_type": "ios",
                "category": category,
                "total": sum(one["category"] == category for one in devices),
                "free": sum(
                    one["category"] == category and one["status"] == "available" for one in devices
                ),
            }
            for category in dict.fromkeys(CATEGORIES)
        ]
