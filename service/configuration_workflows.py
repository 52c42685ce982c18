"""The workflow documents of `hookwright.yaml`: found by pattern, and checked with one another.

All of them are read before any is checked, since one may call another, and circles of workflows
that set one another off are found over all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.config import WorkflowFile
from schemas.document import Document
from service.configuration_faults import FaultFinder
from service.template_files import TemplateFiles
from service.workflows.catalogue import Catalogue, WorkflowSignature
from service.workflows.document import check_document, unreadable
from service.workflows.findings import DocumentError, did_you_mean
from service.workflows.signatures import signature_of
from service.workflows.triggering import Member, circle_findings
from service.workflows.yaml_tree import Path as TreePath
from service.workflows.yaml_tree import YamlFault, YamlTree, read_yaml

TESTS_SUFFIX = ".test.yaml"
"""Files beside the documents that test them, and are no documents."""


@dataclass(frozen=True, slots=True)
class DeclaredWorkflow:
    """A checked workflow document, the values that replace its `vars`, and its text."""

    document: Document
    vars: Mapping[str, Any]
    text: str
    file: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that an entry of the configuration names, with its text."""

    path: TreePath
    entry: WorkflowFile
    file: Path
    text: str
    tree: YamlTree | YamlFault
    """What it says, or why that cannot be read."""


class WorkflowReader:
    """Reads the section `workflows` of one configuration file and notes what is wrong."""

    def __init__(self, faults: FaultFinder, configuration: Path) -> None:
        self._faults = faults
        self._configuration = configuration
        self._folder = configuration.parent

    def read(self, catalogue: Catalogue) -> list[DeclaredWorkflow]:
        """Give the good documents; what is wrong with the others is noted."""
        found = list(self._found())
        known = catalogue.with_workflows(_signatures(item.tree for item in found))
        declared = list(self._declared(found, known))
        members = [Member(item.document, item.file, item.text) for item in declared]
        self._faults.findings.extend(circle_findings(members))
        return declared

    def _found(self) -> Iterator[_Found]:
        entries = list(self._faults.items("workflows", WorkflowFile, lift=_lift_file))
        # A file that is named, with vars of its own, is not meant by a pattern beside it.
        named = {
            file
            for _path, entry, _lost in entries
            if not _is_pattern(entry.file)
            for file in _matching(self._folder, entry.file)
        }
        for path, entry, _lost in entries:
            files = _matching(self._folder, entry.file)
            if not files:
                self._faults.find(
                    path,
                    f"no file matches `{entry.file}`",
                    f"patterns are relative to the folder of {self._configuration}",
                )
            for file in files:
                if _is_pattern(entry.file) and file in named:
                    continue
                try:
                    text = file.read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    self._faults.find(path, f"{file} cannot be read: {error}")
                    continue
                yield _Found(path, entry, file, text, _tree(text))

    def _declared(
        self, found: Sequence[_Found], catalogue: Catalogue
    ) -> Iterator[DeclaredWorkflow]:
        names: dict[str, str] = {}
        for item in found:
            shown = str(item.file)
            try:
                if isinstance(item.tree, YamlFault):
                    raise unreadable(item.tree, shown)
                document = check_document(
                    item.tree,
                    filename=shown,
                    catalogue=catalogue,
                    read_template=TemplateFiles(item.file, self._folder).read,
                )
            except DocumentError as error:
                self._faults.findings.extend(error.findings)
                continue
            if document.name in names:
                self._faults.find(
                    item.path,
                    f"the workflow `{document.name}` of {shown} is also in {names[document.name]}",
                )
            names[document.name] = shown
            self._check_vars(item.path, item.entry, document)
            yield DeclaredWorkflow(document, item.entry.vars, item.text, shown)

    def _check_vars(self, path: TreePath, entry: WorkflowFile, document: Document) -> None:
        for name in entry.vars:
            if name not in document.vars:
                self._faults.find(
                    (*path, "vars", name),
                    f"the workflow `{document.name}` has no var `{name}`",
                    did_you_mean(name, document.vars),
                    key=True,
                )


def signatures(texts: Iterable[str]) -> Iterator[WorkflowSignature]:
    """Give what can be called among documents, those with faults included."""
    return _signatures(_tree(text) for text in texts)


def _signatures(trees: Iterable[YamlTree | YamlFault]) -> Iterator[WorkflowSignature]:
    for tree in trees:
        signature = None if isinstance(tree, YamlFault) else signature_of(tree.value)
        if signature is not None:
            yield signature


def _tree(text: str) -> YamlTree | YamlFault:
    try:
        return read_yaml(text)
    except YamlFault as fault:
        return fault


def _lift_file(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


def _matching(folder: Path, pattern: str) -> list[Path]:
    wanted = Path(pattern)
    if wanted.is_absolute():
        found = Path(wanted.anchor).glob(str(wanted.relative_to(wanted.anchor)))
    else:
        found = folder.glob(pattern)
    tests = _is_pattern(pattern) and not pattern.endswith(TESTS_SUFFIX)
    return sorted(file for file in found if not (tests and file.name.endswith(TESTS_SUFFIX)))


def _is_pattern(file: str) -> bool:
    return any(character in file for character in "*?[")
