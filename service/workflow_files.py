"""Workflow documents as files of somebody's folder: read and checked with one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schemas.document import SECTIONS, CallStep
from schemas.document.steps import walk
from service.catalogue import build_catalogue
from service.configuration import CONFIGURATION_FILE, read_workflows
from service.configuration_workflows import TESTS_SUFFIX, signatures
from service.template_files import TemplateFiles
from service.workflows.document import parse_document
from service.workflows.findings import DocumentError, Finding
from service.workflows.triggering import Member, circle_findings

_PATTERNS = ("*.yaml", "*.yml")


@dataclass(slots=True)
class CheckedFiles:
    """The good documents among some files, and what is wrong with the others."""

    members: list[Member] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    count: int = 0
    unchecked_calls: tuple[str, ...] = ()
    """Workflows that are called and of which nothing is known here."""


def check_files(paths: Sequence[Path]) -> CheckedFiles:
    """Check these documents; a call of one that is not among them is left unchecked.

    A folder stands for the documents that lie in it itself.
    """
    checked = CheckedFiles()
    files: list[Path] = []
    for path in paths:
        inside = _documents_in(path) if path.is_dir() else [path]
        files += inside
        if not inside:
            checked.findings.append(
                Finding(str(path), 1, 1, "the folder holds no *.yaml", "name another folder")
            )
    # A shell's `*.yaml` names the tests beside the documents too.
    documents = [path for path in files if not path.name.endswith(TESTS_SUFFIX)] or files
    checked.count = len(documents) + len(checked.findings)
    texts: dict[Path, str] = {}
    for path in documents:
        try:
            texts[path] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            checked.findings.append(
                Finding(str(path), 1, 1, f"the file cannot be read: {cause}", "name another file")
            )
    known = list(signatures(list(texts.values())))
    catalogue = build_catalogue().with_workflows(known, are_all=False)
    for path, text in texts.items():
        try:
            document = parse_document(
                text,
                filename=str(path),
                catalogue=catalogue,
                read_template=TemplateFiles(path, home_of(path)).read,
            )
        except DocumentError as error:
            checked.findings.extend(error.findings)
        else:
            checked.members.append(Member(document, str(path), text))
    checked.findings.extend(circle_findings(checked.members))
    called = {
        step.call
        for member in checked.members
        for section in SECTIONS
        for step in walk(getattr(member.document, section))
        if isinstance(step, CallStep)
    }
    checked.unchecked_calls = tuple(sorted(called - {signature.name for signature in known}))
    return checked


def _documents_in(folder: Path) -> list[Path]:
    found = (path for pattern in _PATTERNS for path in folder.glob(pattern))
    return sorted(path for path in found if not path.name.endswith(TESTS_SUFFIX))


def check_configured(configuration: Path) -> CheckedFiles:
    """Check the workflows of a configuration file. Raises ConfigurationError."""
    declared, findings = read_workflows(configuration)
    members = [Member(item.document, item.file, item.text) for item in declared]
    count = len({item.file for item in declared} | {finding.file for finding in findings})
    return CheckedFiles(members, list(findings), count)


def home_of(document: Path) -> Path:
    """Give the folder that a document's templates must lie in.

    That is the nearest one around it with a configuration, else its own.
    """
    for folder in document.absolute().parents:
        if (folder / CONFIGURATION_FILE).is_file():
            return folder
    return document.parent
