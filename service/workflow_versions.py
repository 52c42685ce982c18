"""Versions of workflows in the database: adding one, and what stands beside a workflow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas.configured_tables import WorkflowRow, WorkflowVersionRow
from schemas.document import Document
from service.db import Session
from service.store import applied
from service.workflows.triggering import Member


def set_version(
    session: Session,
    row: WorkflowRow,
    document: Document,
    values: Mapping[str, Any],
    text: str,
    *,
    now: datetime,
) -> bool:
    """Make this the current version of a stored workflow; says whether it is a new one.

    A document and `values` (what replaces its `vars`) that are current already make none.
    """
    plain = document.model_dump(mode="json")
    digest = _digest(plain, values)
    current = applied.version(session, row.current_version_id)
    if current is not None and current.digest == digest:
        return False
    version = WorkflowVersionRow(
        workflow_id=row.id,
        number=applied.newest_number(session, row.id) + 1,
        digest=digest,
        document=plain,
        vars=dict(values),
        source_text=text,
        created_at=now,
    )
    session.add(version)
    session.flush()
    row.current_version_id = version.id
    return True


def members_of(session: Session, rows: Iterable[WorkflowRow]) -> Iterator[Member]:
    """Give the current documents of the workflows among these that can start anything."""
    for row in rows:
        version = applied.version(session, row.current_version_id)
        if version is None or not row.enabled:
            continue
        # One of an older version that is no document any more starts nothing either.
        with suppress(ValidationError):
            document = Document.model_validate(version.document)
            yield Member(document, f"{row.name} (applied)", version.source_text)


def _digest(document: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    plain = json.dumps({"document": document, "vars": values}, sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()
