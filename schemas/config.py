"""The configuration file `hookwright.yaml` (contract §4), as typed values. No I/O."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
LONGEST_DURATION = timedelta(days=36500)
"""A century: times that lie a duration away from now are still times."""
LONGEST_LOOK_BACK = timedelta(days=90)
"""How far back a comparison with a vendor's record may look."""
SHORTEST_PAUSE = timedelta(milliseconds=100)
LONGEST_PAUSE = timedelta(days=365)
_SHOWN_CHARS = 40
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|kB|MB)?")
_SIZE_UNITS = {
    None: 1,
    "B": 1,
    "kB": 1000,
    "KiB": 1024,
    "MB": 1000**2,
    "MiB": 1024**2,
    "GiB": 1024**3,
}


def parse_duration(value: object) -> object:
    """Read `500ms`, `15s`, `5m`, `2h`, `30d`; anything that is no text passes unchanged.

    Raises ValueError for a text of another form and for more than a century.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        message = f"{value!r} is no duration; write a number and ms, s, m, h or d, such as 15s"
        raise ValueError(message)
    seconds = float(match[1]) * _DURATION_UNITS[match[2]].total_seconds()
    if seconds > LONGEST_DURATION.total_seconds():
        shown = value.strip()[:_SHOWN_CHARS]
        message = f"{shown!r} is too long a duration; at most {LONGEST_DURATION.days} days"
        raise ValueError(message)
    return timedelta(seconds=seconds)


def write_duration(value: timedelta) -> str:
    """Give a duration as it is written in hookwright.yaml."""
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def parse_size(value: object) -> object:
    """Read `512KiB`, `1MiB` as bytes; anything that is no text passes unchanged.

    Raises ValueError for a text of another form.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        message = f"{value!r} is no size; write a number and B, KiB or MiB, such as 1MiB"
        raise ValueError(message)
    return int(match[1]) * _SIZE_UNITS[match[2]]


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0), le=LONGEST_DURATION)
]
Pause = Annotated[
    timedelta, BeforeValidator(parse_duration), Field(ge=SHORTEST_PAUSE, le=LONGEST_PAUSE)
]
"""Time from one asking to the next."""
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Kept = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    Field(ge=timedelta(days=1), le=LONGEST_DURATION),
]
"""How long rows are kept: vendors send again within a day whatever they were not answered well."""
EFFECTS_KEPT = timedelta(days=365)


class Section(BaseModel):
    """Base of every section: immutable, unknown keys refused."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class SecretReference(Section):
    """Where a secret comes from: exactly one of an environment variable, a file, a text."""

    env: str | None = None
    file: str | None = None
    value: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretReference:
        if sum(part is not None for part in (self.env, self.file, self.value)) != 1:
            message = "give exactly one of env, file, value"
            raise ValueError(message)
        return self


class Limits(Section):
    """What one source may send: body size in bytes, sustained rate and burst in requests."""

    max_body: Size = 1024 * 1024
    per_second: float = Field(default=500, gt=0)
    burst: int = Field(default=1000, gt=0)


class ReconcileConfig(Section):
    """How a source is compared with its vendor's own record.

    `every` None: only when asked for. `since` is how far back it looks. `records` names the records
    to compare with their options (none: all of the vendor's).
    """

    every: Pause | None = None
    since: Duration = Field(default=timedelta(hours=24), le=LONGEST_LOOK_BACK)
    records: dict[str, dict[str, Any]] = Field(default_factory=dict)


class SourceConfig(Section):
    """One receiving address `/hooks/{name}`. `path_token` is for vendors that sign nothing.

    `connection` is the vendor account whose events arrive here (None: the only one of the vendor).
    """

    name: Name
    vendor: str
    secrets: tuple[SecretReference, ...] = ()
    path_token: SecretReference | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    limits: Limits = Field(default_factory=Limits)
    connection: Name | None = None
    reconcile: ReconcileConfig | None = None
    enabled: bool = True


class ConnectionConfig(Section):
    """Base address and credentials for calling one vendor account."""

    name: Name
    vendor: str
    base_url: str | None = None
    credentials: dict[str, SecretReference] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)


class PollConfig(Section):
    """A question asked of a vendor again and again."""

    name: Name
    connection: Name
    poll: str
    every: Pause = timedelta(minutes=5)
    options: dict[str, Any] = Field(default_factory=dict)


class SubscriptionConfig(Section):
    """An outside address to which events are sent, signed."""

    name: Name
    url: str
    events: tuple[str, ...] = ("*",)
    secret: SecretReference | None = None


class WorkflowFile(Section):
    """Workflow documents by file pattern, with values that replace the documents' own `vars`."""

    file: str
    vars: dict[str, Any] = Field(default_factory=dict)


def _workflow_file(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class ArchiveConfig(Section):
    """Where removed rows are written to. A relative directory is within the data directory."""

    directory: str = Field(default="archive", min_length=1)


class Retention(Section):
    """How long rows are kept, from when they were made or have ended.

    `events` None: as long as deliveries. `effects` None: a year, or as long as runs when that is
    longer. `archive`: whether rows are written to files before they go.
    """

    deliveries: Kept = timedelta(days=30)
    events: Kept | None = None
    runs: Kept = timedelta(days=90)
    effects: Kept | None = None
    audit: Kept = timedelta(days=365)
    archive: bool | ArchiveConfig = False

    @model_validator(mode="after")
    def _nothing_before_what_needs_it(self) -> Retention:
        # Reading a delivery anew must find its events, or they would be stored as new ones.
        if self.events is not None and self.events < self.deliveries:
            message = "events must be kept at least as long as deliveries"
            raise ValueError(message)
        if self.effects is not None and self.effects < self.runs:
            message = "effects must be kept at least as long as runs"
            raise ValueError(message)
        return self

    @property
    def events_kept(self) -> timedelta:
        """How long events are kept that no run has."""
        return self.events or self.deliveries

    @property
    def effects_kept(self) -> timedelta:
        """How long effects are kept that protect from doing something twice."""
        return self.effects or max(EFFECTS_KEPT, self.runs)

    @property
    def archive_directory(self) -> str | None:
        """Where removed rows are written to; None: nowhere."""
        if isinstance(self.archive, ArchiveConfig):
            return self.archive.directory
        return ArchiveConfig().directory if self.archive else None


class Configuration(Section):
    """The whole file."""

    sources: tuple[SourceConfig, ...] = ()
    connections: tuple[ConnectionConfig, ...] = ()
    polls: tuple[PollConfig, ...] = ()
    subscriptions: tuple[SubscriptionConfig, ...] = ()
    workflows: tuple[Annotated[WorkflowFile, BeforeValidator(_workflow_file)], ...] = ()
    retention: Retention = Field(default_factory=Retention)
