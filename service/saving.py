"""Saving a workflow over the API: checked whole and beside the others before it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import structlog

from schemas.configured_tables import ConnectionRow, SourceRow, WorkflowRow
from schemas.events import Json
from schemas.storable import storable
from service.audit import Who, name_of, note
from service.catalogue import build_catalogue
from service.configuration_workflows import signatures
from service.db import Database, Session
from service.errors import Conflict, Invalid
from service.queue import Queue
from service.store import applied
from service.store.marks import bump_mark
from service.unit_of_work import unit_of_work
from service.versions import MARK
from service.workflow_versions import members_of, set_version
from service.workflows.catalogue import Catalogue
from service.workflows.document import DocumentError, Finding, check_vars, parse_document
from service.workflows.signatures import signature_of_document
from service.workflows.triggering import Member, circle_findings, links_of
from service.workflows.yaml_tree import Path, YamlFault, read_yaml

log = structlog.get_logger(__name__)

DOCUMENT = "document"
"""How findings name a document that stands in no file."""


def save_workflow(
    database: Database,
    queue: Queue,
    name: str,
    text: str,
    values: Mapping[str, Json],
    *,
    who: Who,
    now: datetime,
) -> bool:
    """Make a document the current version of a workflow; says whether the workflow is new.

    What is there already in the same form makes no new version. Runs keep the version they began
    with; schedules follow within a second. Raises DocumentError with all findings, Conflict for a
    workflow that a file declares, Unavailable.
    """
    with unit_of_work(database, queue) as work:
        session = work.session
        # As in `apply`: whoever changes workflows takes turns, so circles cannot slip through.
        bump_mark(session, "configuration")
        rows = applied.rows_by_name(session, WorkflowRow)
        row = rows.pop(name, None)
        if row is not None and row.from_file:
            raise Conflict(
                f"the workflow {name} is declared in a file, so it is changed there",
                hint="change its file and run `hookwright apply`",
            )
        member = check_document(session, name, text, values, list(rows.values()))
        is_new = row is None
        if row is None:
            row = WorkflowRow(name=name, from_file=False, updated_at=now)
            session.add(row)
            session.flush()
        changed = set_version(session, row, member.document, values, text, now=now)
        if changed:
            row.updated_at = now
            bump_mark(session, MARK)
        if changed or is_new:
            action = "workflow.create" if is_new else "workflow.update"
            note(session, who, action, name, now=now)
    log.info("workflow_saved", workflow=name, changed=changed, who=name_of(who))
    return is_new


def check_document(
    session: Session,
    name: str,
    text: str,
    values: Mapping[str, Json],
    others: Sequence[WorkflowRow],
) -> Member:
    """Check a document with its `vars` and with the workflows beside it. Raises DocumentError."""
    beside = list(members_of(session, others))
    known = catalogue_of(session)
    document = parse_document(
        text,
        filename=DOCUMENT,
        catalogue=known.with_workflows(
            [
                *(signature_of_document(member.document) for member in beside),
                *signatures([text]),
            ]
        ),
    )
    member = Member(document, DOCUMENT, text)
    if document.name != name:
        message = f"the document's name is `{document.name}`, the address says `{name}`"
        raise DocumentError([_at(member, ("name",), message, "write the same name in both")])
    check_vars(document, values, filename=DOCUMENT)
    _check_storable(member, values)
    findings = [*circle_findings([member, *beside]), *_broken_calls(known, member, beside)]
    if findings:
        raise DocumentError(findings)
    return member


def catalogue_of(session: Session) -> Catalogue:
    """Give what documents may name in this installation, without the workflows."""
    connections = applied.rows_by_name(session, ConnectionRow)
    return build_catalogue(
        connections={row.name: row.vendor for row in connections.values()},
        sources=list(applied.rows_by_name(session, SourceRow)),
    )


def _broken_calls(known: Catalogue, member: Member, beside: Sequence[Member]) -> Iterator[Finding]:
    """Give what is wrong with the calls of others once this document is current."""
    name = member.document.name
    links = links_of([each.document for each in (member, *beside)])
    calling = {link.source for link in links if link.event is None and link.target == name}
    callers = [other for other in beside if other.document.name in calling]
    after = known.with_workflows(signature_of_document(each.document) for each in (member, *beside))
    for caller in callers:
        # What was wrong with it already is no fault of this document.
        before = _findings(caller, known)
        for finding in _findings(caller, after) - before:
            message = f"the workflow `{caller.document.name}` calls this one: {finding.message}"
            yield Finding(caller.file, finding.line, finding.column, message, finding.hint)


def _findings(member: Member, catalogue: Catalogue) -> set[Finding]:
    try:
        parse_document(member.text or "", filename=member.file, catalogue=catalogue)
    except DocumentError as error:
        return set(error.findings)
    return set()


def _check_storable(member: Member, values: Mapping[str, Json]) -> None:
    plain = member.document.model_dump(mode="json")
    if storable(plain) != plain or storable(member.text or "") != member.text:
        message = "it holds a character that no database keeps: NUL, or half of a surrogate pair"
        raise DocumentError([Finding(member.file, 1, 1, message, "leave it out")])
    try:
        kept = storable(values)
    except ValueError as error:
        raise Invalid(f"the vars cannot be stored: {error}") from error
    if kept != values:
        raise Invalid("the vars hold a character or number that no database keeps")


def _at(member: Member, path: Path, message: str, hint: str) -> Finding:
    try:
        place = read_yaml(member.text or "").place(path)
    except YamlFault:
        return Finding(member.file, 1, 1, message, hint)
    return Finding(member.file, place.line, place.column, message, hint)
