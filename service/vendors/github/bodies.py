"""What GitHub's calls take (vendors.md §6.2). What is left out of an update stays as it is."""

from __future__ import annotations

from typing import Literal, TypedDict

from schemas.events import Json

StatusState = Literal["error", "failure", "pending", "success"]
CheckStatus = Literal["queued", "in_progress", "completed"]
Conclusion = Literal[
    "action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"
]
IssueState = Literal["open", "closed"]
StateReason = Literal["completed", "not_planned", "reopened"]


class StatusFields(TypedDict, total=False):
    """A commit status. `description` has at most 140 characters."""

    state: StatusState
    context: str
    description: str
    target_url: str


class AnnotationFields(TypedDict, total=False):
    """A remark on lines of a file."""

    path: str
    start_line: int
    end_line: int
    annotation_level: Literal["notice", "warning", "failure"]
    message: str
    title: str


class OutputFields(TypedDict, total=False):
    """What a check run says: Markdown of at most 65 535 characters, at most 50 annotations."""

    title: str
    summary: str
    text: str
    annotations: list[AnnotationFields]


class ButtonFields(TypedDict):
    """A button on a check run: 20, 40 and 20 characters."""

    label: str
    description: str
    identifier: str


class CheckRunFields(TypedDict, total=False):
    """A check run. At most 3 buttons (`actions`)."""

    name: str
    head_sha: str
    details_url: str
    external_id: str
    status: CheckStatus
    conclusion: Conclusion
    output: OutputFields
    actions: list[ButtonFields]


class IssueFields(TypedDict, total=False):
    """An issue."""

    title: str
    body: str
    labels: list[str]
    assignees: list[str]
    state: IssueState
    state_reason: StateReason


class DispatchFields(TypedDict, total=False):
    """What starts workflows: at most 10 members in `client_payload`, below 64 kB."""

    event_type: str
    client_payload: dict[str, Json]
