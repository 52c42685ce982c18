"""A catalogue as the checker is given one, and the documents of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from schemas.document import Document, Input
from schemas.events import BugFacts, CreditsFacts, TestRunFacts
from service.template_files import TemplateFiles
from service.workflows.catalogue import ActionSignature, Catalogue, WorkflowSignature
from service.workflows.document import parse_document
from service.workflows.template_checks import TemplateFile

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
    sessions: tuple[HealSession, ...] = ()


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


class AskParams(Closed):
    run_id: str
    step: str
    text: str
    channel: str | None = None


WORKFLOWS = (
    WorkflowSignature(
        "audit-website",
        {
            "url": Input(type="text", required=True),
            "depth": Input(type="number", default=2),
        },
        ("report_url", "score"),
    ),
    WorkflowSignature("only-by-events", is_callable=False),
)


def read_template(name: str) -> TemplateFile:
    """Give a template file as the document's author named it."""
    found = TemplateFiles(HERE / "documents" / "any.yaml", HERE / "documents").read(name)
    return TemplateFile(found.text, name)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.of(
        [
            ActionSignature("checksum.auto_heal", AutoHealParams, AutoHealOutputs),
            ActionSignature("checksum.heal_progress", HealProgressParams, HealProgressOutputs),
            ActionSignature("checksum.run_grep", RunGrepParams, RunGrepOutputs),
            ActionSignature("github.comment", CommentParams, CommentOutputs),
            ActionSignature("slack.message", MessageParams, MessageOutputs),
            ActionSignature("slack.ask_approval", AskParams, MessageOutputs),
        ],
        facts={
            "test_run": TestRunFacts,
            "visual_regression": TestRunFacts,
            "credits": CreditsFacts,
            "bug": BugFacts,
        },
        vendors=("vibeview", "checksum", "github", "slack", "generic"),
        connections={"checksum": "checksum", "github": "github", "slack": "slack"},
        sources=("checksum", "vibeview-door"),
    ).with_workflows(WORKFLOWS)


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
