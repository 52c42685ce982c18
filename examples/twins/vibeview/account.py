"""Apps, API tokens, audit log and session defaults of one VibeView organisation (reference 1.4)."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from uuid import uuid4

from examples.twins.clock import Clock, zoneless

ORGANISATION_ID = 1
RANGES = {
    "last-hour": timedelta(hours=1),
    "last-day": timedelta(days=1),
    "last-week": timedelta(days=7),
    "last-month": timedelta(days=30),
}


@dataclass(slots=True)
class Account:
    """What belongs to an organisation beside its tests."""

    clock: Clock
    allow_streaming_overage: bool = True
    tokens: dict[int, dict[str, object]] = field(default_factory=dict)
    audit: list[dict[str, object]] = field(default_factory=list)
    apps: dict[str, dict[str, object]] = field(default_factory=dict)
    builds: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        """Begin with one app of one build."""
        self.apps["app_7hk2"] = {"id": "app_7hk2", "name": "Acme Shop", "platform": "ios"}
        self.builds["app_7hk2"] = []
        self.add_build("app_7hk2", version="4.11.0", size=0, note=None)

    def add_build(
        self, app_id: str, *, version: str | None, size: int, note: str | None
    ) -> dict[str, object]:
        """Add a build of an app."""
        number = 7 + sum(len(builds) for builds in self.builds.values())
        build: dict[str, object] = {
            "id": number,
            "version": version,
            "build_number": str(2200 + number),
            "file_size": size,
            "uploaded_by": "ci@acme.example",
            "uploaded_at": zoneless(self.clock.now()),
            "tags": [],
            "metadata": {} if note is None else {"note": note},
        }
        self.builds[app_id].append(build)
        return build

    def show_app(self, app_id: str) -> dict[str, object]:
        """An app with its builds, newest first."""
        return {**self.apps[app_id], "builds": self.builds[app_id][::-1]}

    def add_token(self, label: str, role: str) -> dict[str, object]:
        """Make a token; its secret part is in the answer and nowhere else."""
        number, token = next(self._numbers) + 1, f"tok_{uuid4().hex}"
        self.tokens[number] = {
            "id": number,
            "label": label,
            "token_prefix": token[:8],
            "created_by": "dev@acme.example",
            "role": role,
            "used": False,
            "created_at": zoneless(self.clock.now()),
        }
        self.note("api_token.created", "api_token", str(number))
        return {"token": token, "id": number, "label": label}

    def note(self, action: str, kind: str, thing: str) -> None:
        """Write into the audit log."""
        self.audit.append(
            {
                "id": len(self.audit) + 1,
                "user_email": "dev@acme.example",
                "action": action,
                "resource_type": kind,
                "resource_id": thing,
                "details": {},
                "created_at": zoneless(self.clock.now()),
            }
        )

    def audit_events(self, asked: dict[str, str], *, limit: int, offset: int) -> dict[str, object]:
        """A page of the audit log, newest first."""
        names = ("action", "user_email", "resource_type")
        since = ""
        if "time_range" in asked:
            since = zoneless(self.clock.now() - RANGES[asked["time_range"]])
        rows = [
            row
            for row in reversed(self.audit)
            if all(asked.get(name, row[name]) == row[name] for name in names)
            and str(row["created_at"]) >= since
        ]
        return {"total": len(rows), "events": rows[offset : offset + limit]}
