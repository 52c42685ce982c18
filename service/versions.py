"""The current versions of the workflows, kept in memory until they change."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from schemas.configured_tables import WorkflowRow, WorkflowVersionRow
from schemas.document import Document
from service.db import Session
from service.store.marks import read_mark
from service.workflows.document import merge_vars

log = structlog.get_logger(__name__)

MARK = "workflows"
KEPT_DOCUMENTS = 512
_WHOLE_EVENT = re.compile(r"\bevents?\b(?!\s*\.|\":|\s*\[\s*\d+\s*\]\s*\.)")
_EVENTS = re.compile(r"\bevents\b")
_WHOLE_STEPS = re.compile(r"\bsteps\b(?!\s*\.|\":)")


@dataclass(frozen=True, slots=True)
class Reads:
    """Which large values a part of a document may read: told from its text, rather too often."""

    text: str

    @property
    def payload(self) -> bool:
        """Whether it may read the payload of an event."""
        return "payload" in self.text or _WHOLE_EVENT.search(self.text) is not None

    @property
    def events(self) -> bool:
        """Whether it may read the events that a run has gathered."""
        return _EVENTS.search(self.text) is not None

    def output(self, step: str) -> bool:
        """Say whether it may read the output of this step."""
        return f"steps.{step}" in self.text or _WHOLE_STEPS.search(self.text) is not None


@dataclass(frozen=True)
class Version:
    """One version of a workflow, ready to be matched and planned."""

    id: UUID
    name: str
    number: int
    document: Document
    vars: dict[str, Any]
    _reads: dict[str | None, Reads] = field(default_factory=dict, repr=False, compare=False)

    def reads(self, container: str | None) -> Reads:
        """Give what the run itself (None) or a branch of this step may read."""
        known = self._reads.get(container)
        if known is None:
            part = self.document if container is None else self.document.step(container)
            # A step names its templates only: their texts stand in the document.
            texts = "\n".join(self.document.templates.values())
            known = self._reads[container] = Reads(f"{part.model_dump_json()}\n{texts}")
        return known


class Versions:
    """Reads versions once and again when the mark `workflows` has moved. Thread-safe."""

    def __init__(
        self, read: Callable[[Session], Sequence[tuple[WorkflowRow, WorkflowVersionRow]]]
    ) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._mark: int | None = None
        self._current: tuple[Version, ...] = ()
        self._unusable: tuple[str, ...] = ()
        self._documents: dict[UUID, Version] = {}

    def current(self, session: Session) -> tuple[Version, ...]:
        """Give the enabled workflows' current versions, ordered by name."""
        mark = read_mark(session, MARK)
        with self._lock:
            if mark == self._mark:
                return self._current
        found = {
            row.name: self._try_open(row.name, version) for row, version in self._read(session)
        }
        current = tuple(version for version in found.values() if version is not None)
        unusable = tuple(name for name, version in found.items() if version is None)
        with self._lock:
            self._mark, self._current, self._unusable = mark, current, unusable
        return current

    def unusable(self, session: Session) -> tuple[str, ...]:
        """Give the enabled workflows whose current version cannot be read: they start no run."""
        self.current(session)
        with self._lock:
            return self._unusable

    def open(self, name: str, row: WorkflowVersionRow) -> Version:
        """Give a version by its row. Raises ValidationError when the stored form is not usable."""
        with self._lock:
            known = self._documents.get(row.id)
        if known is not None:
            return known
        document = Document.model_validate(row.document)
        version = Version(row.id, name, row.number, document, dict(merge_vars(document, row.vars)))
        with self._lock:
            if len(self._documents) >= KEPT_DOCUMENTS:
                self._documents.clear()
            self._documents[row.id] = version
        return version

    def _try_open(self, name: str, row: WorkflowVersionRow) -> Version | None:
        try:
            return self.open(name, row)
        except ValidationError as error:
            log.exception(
                "workflow_not_usable",
                workflow=name,
                version=row.number,
                error=str(error),
                consequence="its events start no run until it is applied again",
            )
            return None
