"""How Checksum is reached, and how a webhook of it would arrive if one were offered.

What the vendor does not publish (vendors.md §5, marked as assumed) is an option here, with the
assumption as its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from service.signatures import HeaderName, SecretEncoding
from service.vendors.base import Options, PerMinute

BY_STATUS = "test_run.*"
"""A run's end: its status says which."""

EVENTS: Mapping[str, str] = {
    "test_run.started": "test_run.started",
    "test_run.completed": BY_STATUS,
    "auto_heal.started": "heal.started",
    "auto_heal.completed": "heal.completed",
    "auto_heal.failed": "heal.failed",
    "bug.detected": "bug.found",
    "bug.status_changed": "bug.changed",
}


class ChecksumCredentials(BaseModel):
    """The key of one project."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr = Field(min_length=1, description="API key of the project.")


class ChecksumOptions(Options):
    """Options of a connection."""

    key_header: Literal["authorization", "ChecksumAppCode"] = Field(
        default="authorization", description="The header that carries the key."
    )
    repository: str | None = Field(
        default=None,
        pattern=r"^[^/\s]+/[^/\s]+$",
        description="The repository of the tests, as owner/repo.",
    )
    per_minute: PerMinute = Field(
        default=60, description="Calls a minute; the vendor publishes no limit."
    )
    heal_batch_paths: tuple[str, ...] = Field(
        default=("batchId", "autoHeal.batchId"),
        description="Where the status of a run may name the heal it began by itself.",
    )
    report_paths: tuple[str, ...] = Field(
        default=("url", "reportUrl", "report.url", "data.url"),
        description="Where the address of a report is in the answer.",
    )
    affected_tests_paths: tuple[str, ...] = Field(
        default=("testIds", "tests", "data.testIds", "data.tests"),
        description="Where the affected tests are in the answer: ids, or objects with one.",
    )
    shards_field: str = Field(
        default="shards", min_length=1, description="The member that asks for a sharded run."
    )


def auth_headers(credentials: ChecksumCredentials, options: ChecksumOptions) -> Mapping[str, str]:
    """Give the key under the header this project takes."""
    key = credentials.api_key.get_secret_value()
    if options.key_header == "ChecksumAppCode":
        return {"ChecksumAppCode": key}
    return {"Authorization": f"Bearer {key}"}


class ChecksumSourceOptions(Options):
    """How a webhook would arrive: signed `{timestamp}.{body}`, or as Standard Webhooks.

    `events` adds to the table of event names, as in `{"run.done": "test_run.completed"}`: its
    values are names of that table, or types of ours.
    """

    scheme: Literal["timestamp-body", "standard-webhooks"] = Field(
        default="timestamp-body", description="What a webhook is signed with."
    )
    signature_header: HeaderName = Field(
        default="X-Checksum-Signature",
        min_length=1,
        description="Header of the signature, for timestamp-body.",
    )
    signature_prefix: str = Field(
        default="", description="What stands before the hex digits in that header."
    )
    timestamp_header: HeaderName = Field(
        default="X-Checksum-Timestamp",
        min_length=1,
        description="Header of the time in Unix seconds, for timestamp-body.",
    )
    secret_encoding: SecretEncoding | None = Field(
        default=None, description="How the secret is written; left out, as its scheme has it."
    )
    tolerance_s: int = Field(
        default=300, ge=0, description="How old or early a signed time may be, in seconds."
    )
    event_paths: tuple[str, ...] = Field(
        default=("type",), description="Where the name of the event is in the body."
    )
    id_paths: tuple[str, ...] = Field(
        default=("id",), description="Where the id of the delivery is in the body."
    )
    time_paths: tuple[str, ...] = Field(
        default=("created_at", "createdAt"), description="Where the time is in the body."
    )
    data_path: str = Field(default="data", description="Where the run, bug or heal is.")
    events: dict[str, str] = Field(
        default_factory=dict, description="Further event names and what they mean."
    )
    strict: bool = Field(
        default=False,
        description="Counts a run as failed that passed with failures which are no bugs.",
    )
    repository: str | None = Field(
        default=None,
        pattern=r"^[^/\s]+/[^/\s]+$",
        description="The repository of the tests, as owner/repo, for the events.",
    )

    @field_validator("events")
    @classmethod
    def _must_mean_something(cls, events: dict[str, str]) -> dict[str, str]:
        for name, meaning in events.items():
            if meaning not in EVENTS and meaning.partition(".")[0] not in {
                "test_run",
                "heal",
                "bug",
            }:
                known = ", ".join(EVENTS)
                message = f"{name} cannot mean {meaning}: give one of {known}, or a type of ours"
                raise ValueError(message)
        return events
