"""A catalogue as the checker is given one, and the documents of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from schemas.events import CreditsFacts, TestRunFacts
from schemas.document import Document
from service.workflows.catalogue import ActionSignature, Catalogue
from service.workflows.document import parse_document

HERE = Path(__file__).parent


class Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AutoHealParams(Closed):
    test_run_id: UUID
    repo: str | None = None
    pr_number: int | None = Field(default=None, ge=1)
    metadata: dict[str, Any] = Field(default_factory=dict)


class AutoHealOutputs(Closed):
    batch_id: str
    url: str | None = None


class HealProgressParams(Closed):
    batch_id: str


class HealSession(Closed):
    session_id: str
    pr_url: str | None


class HealProgressOutputs(Closed):
    status: str
    all_terminal: bool
    completed: int
    pr_urls: tuple[str, ...]
    latest: HealSession | None = None


class AutoHealBlock(Closed):
    auto_create_pr: bool = True
    repo: str | None = None


class RunGrepParams(Closed):
    grep: str
    auto_heal: AutoHealBlock | None = None


class RunGrepOutputs(Closed):
    name: str | None


class CommentParams(Closed):
    repository: str
    number: int
    marker: str
    body: str


class CommentOutputs(Closed):
    comment_id: int


class MessageParams(Closed):
    text: str
    channel: str | None = None


class MessageOutputs(Closed):
    ts: str


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.of(
        [
            ActionSignature("checksum.auto_heal", AutoHealParams, AutoHealOutputs),
            ActionSignature("checksum.heal_progress", HealProgressParams, HealProgressOutputs),
            ActionSignature("checksum.run_grep", RunGrepParams, RunGrepOutputs),
            ActionSignature("github.comment", CommentParams, CommentOutputs),
            ActionSignature("slack.message", MessageParams, MessageOutputs),
        ],
        facts={
            "test_run": TestRunFacts,
            "visual_regression": TestRunFacts,
            "credits": CreditsFacts,
        },
        vendors=("vibeview", "checksum", "github", "slack", "generic"),
        connections=("checksum", "github", "slack"),
    )


@pytest.fixture(scope="session")
def heal_failed_run(catalogue: Catalogue) -> Document:
    path = HERE / "documents" / "heal-failed-run.yaml"
    return parse_document(path.read_text("utf-8"), filename=path.name, catalogue=catalogue)


@pytest.fixture
def failed_event() -> dict[str, Any]:
    facts = TestRunFacts(
        run_id="r1",
        status="failed",
        url="https://app.example/r1",
        repository="acme/webapp",
        branch="main",
        pr_number=42,
    ).model_dump(mode="json")
    facts["counts"]["failed"] = 2
    facts["suite"]["name"] = "smoke <all>"
    facts["failed_tests"] = [
        {"id": "t1", "title": "logs in @alice", "file": None, "error": None, "url": None},
        {"id": "t2", "title": "pays `now`", "file": None, "error": None, "url": None},
    ]
    return {
        "id": "01890000-0000-7000-8000-000000000001",
        "type": "test_run.failed",
        "vendor": "checksum",
        "vendor_type": "run.failed",
        "source": None,
        "delivery_id": None,
        "subject": "00000000-0000-4000-8000-00000000000a",
        "time": "2026-01-01T00:00:00Z",
        "received_at": "2026-01-01T00:00:00Z",
        "facts": facts,
        "payload": {},
        "correlation_id": "01890000-0000-7000-8000-000000000002",
        "caused_by": None,
    }
