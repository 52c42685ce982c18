"""The bugs of the health dashboard, as a workflow asks for them. Marking is done in the web app."""

from __future__ import annotations

from itertools import islice
from typing import Literal

from pydantic import Field

from service.vendors.base import CallContext, Done, Outputs, Params
from service.vendors.checksum.client import ChecksumClient
from service.vendors.checksum.questions import Text

MOST_BUGS = 500


class BugsParams(Params):
    """Which bugs; all fields narrow the list."""

    status: Literal["needs-triage", "confirmed", "fixed", "not-bug", "snoozed"] | None = Field(
        default=None, description="Only bugs of this status."
    )
    severity: Literal["critical", "major", "minor"] | None = Field(
        default=None, description="Only bugs of this severity."
    )
    search: Text | None = Field(default=None, description="Only bugs with this text.")
    tags: tuple[Text, ...] = Field(default=(), description="Only bugs with these tags.")
    project: Text | None = Field(default=None, description="Only bugs of this project.")
    collection_name: Text | None = Field(
        default=None, description="Only bugs of this collection of tests."
    )
    limit: int = Field(default=100, ge=1, le=MOST_BUGS, description="At most so many bugs.")


class BugOutputs(Outputs):
    """One bug."""

    id: str | None = Field(description="Checksum's id of the bug.")
    title: str | None = Field(description="Title of the bug.")
    status: str | None = Field(description="Status, such as needs-triage or confirmed.")
    severity: str | None = Field(description="Severity: critical, major or minor.")
    url: str | None = Field(description="Page of the bug for people.")
    tags: tuple[str, ...] = Field(description="Tags of the bug.")


class BugsOutputs(Outputs):
    """The bugs found, at most `limit`."""

    bugs: tuple[BugOutputs, ...] = Field(description="The bugs, in Checksum's order.")
    count: int = Field(description="How many are given here.")
    more: bool = Field(description="There are others beyond the limit.")


def bugs(context: CallContext, params: BugsParams) -> Done:
    """Give the bugs of the health dashboard."""
    found = ChecksumClient(context.http, context.options).bugs(
        status=params.status,
        severity=params.severity,
        search=params.search,
        tags=params.tags,
        project=params.project,
        collection_name=params.collection_name,
    )
    rows = list(islice(found, params.limit + 1))
    kept = rows[: params.limit]
    return Done(
        BugsOutputs(
            bugs=tuple(
                BugOutputs(
                    id=row.id,
                    title=row.title,
                    status=row.status,
                    severity=row.severity,
                    url=row.url,
                    tags=row.tags,
                )
                for row in kept
            ),
            count=len(kept),
            more=len(rows) > len(kept),
        ),
        changed=False,
    )
