"""One issue."""

from dataclasses import dataclass, field
from datetime import datetime

from examples.twins.clock import zulu
from examples.twins.github.addresses import API, WEB, show_user


@dataclass(slots=True)
class Issue:
    """One issue."""

    repo: str
    number: int
    title: str
    body: str
    login: str
    made_at: datetime
    labels: list[str] = field(default_factory=list)
    state: str = "open"
    state_reason: str | None = None

    def show(self) -> dict[str, object]:
        """The issue as the API gives it."""
        return {
            "id": 9000000 + self.number,
            "number": self.number,
            "title": self.title,
            "body": self.body,
            "state": self.state,
            "state_reason": self.state_reason,
            "labels": [{"name": name} for name in self.labels],
            "user": show_user(self.login),
            "url": f"{API}/repos/{self.repo}/issues/{self.number}",
            "html_url": f"{WEB}/{self.repo}/issues/{self.number}",
            "created_at": zulu(self.made_at),
            "updated_at": zulu(self.made_at),
        }
