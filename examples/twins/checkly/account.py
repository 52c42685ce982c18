"""The Checkly account that all calls of this twin share: settings, checks, errors, scripts."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import NAMESPACE_URL, uuid4, uuid5

from pydantic import Field

from examples.twins.checkly import bodies
from examples.twins.clock import Clock
from examples.twins.sending import Sender
from examples.twins.twin import Refusal, Settings

APP = "https://app.checklyhq.com"
ACCOUNT = "4e1a7c52-90b3-4d68-8f21-6ab5c0d9e374"
WORDS = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    429: "Too Many Requests",
}


class ChecklySettings(Settings):
    """Settings of this twin.

    Args:
        account: the id that calls have to name.
        arrays: the one way of writing several values of a parameter that it understands.
        time_unit: the unit of Unix times in addresses.
        timestamp_unit: how the time of sending is written beside the signature.
        newest_first: the order of alerts and test sessions; the vendor publishes none.
        rows_name_result: whether an entry of the alerts names the result it is of.
        retry_after: whether a 429 carries `Retry-After`; the vendor documents none.
        retry_pause_s: seconds between two tries of a webhook.
        long_poll_scale: real seconds that one asked second of a long poll lasts.
    """

    key: str = Field(default="checkly-key", min_length=1)
    secret: str = "checkly-webhook-secret"
    account: str = ACCOUNT
    arrays: Literal["repeat", "brackets", "comma"] = "repeat"
    time_unit: Literal["s", "ms"] = "s"
    timestamp_unit: Literal["s", "ms", "iso"] = "ms"
    newest_first: bool = True
    rows_name_result: bool = False
    retry_after: bool = False
    retry_pause_s: float = Field(default=20.0, ge=0)
    long_poll_scale: float = Field(default=1.0, ge=0)


@dataclass(frozen=True, slots=True)
class Check:
    """A monitor."""

    check_id: str
    name: str
    type: str
    tags: tuple[str, ...]
    activated: bool = True
    group: str = ""

    def fits(self, target: bodies.Target) -> bool:
        """Whether a target names it; an empty one names every check."""
        if not self.activated and not target.allowDeactivated:
            return False
        if not target.matchTags and not target.checkId:
            return True
        by_tags = any(set(tags) <= set(self.tags) for tags in target.matchTags)
        return by_tags or self.check_id in target.checkId


@dataclass(slots=True)
class Group:
    """Errors that are alike: of a check, or of the test sessions of a project."""

    group_id: str
    owner: str
    kind: Literal["check", "session"]
    message: str
    first_seen: datetime
    last_seen: datetime
    archived_until_next: bool = False
    archived_for_ever: bool = False

    def show(self) -> dict[str, object]:
        """The group as the answers have it."""
        own = {"checkId": self.owner} if self.kind == "check" else {"projectId": self.owner}
        return {
            "id": self.group_id,
            **own,
            "environments": ["production"],
            "errorHash": uuid5(NAMESPACE_URL, self.message).hex,
            "rawErrorMessage": self.message,
            "cleanedErrorMessage": self.message,
            "firstSeen": iso(self.first_seen),
            "lastSeen": iso(self.last_seen),
            "archivedUntilNextEvent": self.archived_until_next,
            "archiveForEver": self.archived_for_ever,
        }


@dataclass(slots=True)
class Outcomes:
    """How the next sessions, runs of checks, schedulings and analyses end."""

    sessions: deque[bodies.SessionEnd] = field(default_factory=deque)
    session_default: bodies.SessionEnd = "PASSED"
    checks: deque[bodies.CheckEnd] = field(default_factory=deque)
    check_default: bodies.CheckEnd = "PASSED"
    schedulings: deque[bodies.Scheduled] = field(default_factory=deque)
    analyses: deque[bodies.AnalysisText] = field(default_factory=deque)

    def follow(self, script: bodies.Script) -> None:
        """Add outcomes behind those that are still to come."""
        self.sessions.extend(script.sessions)
        self.checks.extend(script.checks)
        self.schedulings.extend(script.schedulings)
        self.analyses.extend(script.analyses)
        self.session_default = script.session_default or self.session_default
        self.check_default = script.check_default or self.check_default

    def session(self) -> bodies.SessionEnd:
        """How the next test session ends."""
        return self.sessions.popleft() if self.sessions else self.session_default

    def check(self) -> bodies.CheckEnd:
        """How the next run of a check ends."""
        return self.checks.popleft() if self.checks else self.check_default

    def scheduling(self) -> bodies.Scheduled:
        """How the next scheduling ends."""
        return self.schedulings.popleft() if self.schedulings else "SUCCEEDED"

    def analysis(self) -> bodies.AnalysisText:
        """What the next analysis says."""
        return self.analyses.popleft() if self.analyses else bodies.AnalysisText()


class Account:
    """What one key sees in one account, apart from sessions and alerts, which have their books."""

    def __init__(self, settings: ChecklySettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.sender = Sender()
        self.clear()

    def clear(self) -> None:
        """Two active checks and one that is not; nothing has failed."""
        self.outcomes = Outcomes()
        self.groups: dict[str, Group] = {}
        self.checks: dict[str, Check] = {}
        for check in (
            Check("check-api", "Orders API", "API", ("production", "shop"), group="Shop"),
            Check("check-browser", "Check out as guest", "BROWSER", ("production", "checkout")),
            Check("check-old", "Old home page", "URL", ("production",), activated=False),
        ):
            self.checks[check.check_id] = check

    def known_check(self, check_id: str) -> Check:
        """The check of this id; 404 otherwise."""
        check = self.checks.get(check_id)
        if check is None:
            raise refusal(404, "Check not found")
        return check

    def matching(self, target: bodies.Target) -> list[Check]:
        """Every check that a target names."""
        return [check for check in self.checks.values() if check.fits(target)]

    def note_error(
        self, owner: str, message: str, at: datetime, *, kind: Literal["check", "session"]
    ) -> str:
        """Put an error into its group, and give the group's id."""
        for group in self.groups.values():
            if (group.owner, group.kind, group.message) == (owner, kind, message):
                group.last_seen = max(group.last_seen, at)
                group.archived_until_next = False
                return group.group_id
        group = Group(str(uuid4()), owner, kind, message, at, at)
        self.groups[group.group_id] = group
        return group.group_id

    def ordered(self, rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
        """Rows that are oldest first, in the order of the settings."""
        return list(reversed(rows)) if self.settings.newest_first else list(rows)


def iso(moment: datetime) -> str:
    """The form Checkly's answers use: milliseconds and a `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def refusal(status: int, message: str, error_code: str | None = None) -> Refusal:
    """`{"statusCode", "error", "message", "errorCode"?}`."""
    body: dict[str, object] = {
        "statusCode": status,
        "error": WORDS.get(status, "Error"),
        "message": message,
    }
    if error_code is not None:
        body["errorCode"] = error_code
    return Refusal(status, body)
