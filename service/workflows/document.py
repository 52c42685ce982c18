"""Workflow documents: from text to a checked document, with every fault found at once.

The shape is checked by `shape`, names, types and expressions by `checks`. How YAML is read stands
in `yaml_tree`.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.document import Document
from schemas.events import Json
from service.workflows.catalogue import Catalogue
from service.workflows.checks import check_meaning
from service.workflows.findings import DocumentError, Finding, did_you_mean
from service.workflows.shape import check_shape
from service.workflows.template_checks import ReadTemplate
from service.workflows.yaml_tree import YamlFault, YamlTree, read_yaml

__all__ = ["DocumentError", "Finding", "check_vars", "merge_vars", "parse_document"]


def parse_document(
    text: str,
    *,
    filename: str,
    catalogue: Catalogue | None,
    read_template: ReadTemplate | None = None,
) -> Document:
    """Read and check a document (YAML 1.2 or JSON).

    `filename` is only named in findings. `catalogue` says which actions, vendors, connections,
    workflows and facts there are; None leaves everything unchecked that depends on it.
    `read_template` gives template files, whose texts are kept in the document; without it there are
    only those that stand in the document. Raises DocumentError with all findings.
    """
    try:
        tree = read_yaml(text)
    except YamlFault as fault:
        raise unreadable(fault, filename) from fault
    return check_document(tree, filename=filename, catalogue=catalogue, read_template=read_template)


def unreadable(fault: YamlFault, filename: str) -> DocumentError:
    """Give what to raise for a document that is no YAML."""
    return DocumentError([Finding(filename, fault.line, fault.column, str(fault), fault.hint)])


def check_document(
    tree: YamlTree,
    *,
    filename: str,
    catalogue: Catalogue | None,
    read_template: ReadTemplate | None = None,
) -> Document:
    """Check what was read already; see `parse_document`."""
    document, findings = check_shape(tree, filename)
    others, texts = check_meaning(tree, filename, catalogue, read_template)
    findings += others
    if document is None or findings:
        raise DocumentError(findings)
    if not texts:
        return document
    return document.model_copy(update={"templates": {**texts, **document.templates}})


def merge_vars(document: Document, overrides: Mapping[str, Json]) -> dict[str, Json]:
    """Give the document's vars with the installation's values over them.

    A name that the document does not declare is ignored here; `check_vars` refuses it when the
    configuration is applied.
    """
    return {**document.vars, **{k: v for k, v in overrides.items() if k in document.vars}}


def check_vars(document: Document, overrides: Mapping[str, Json], *, filename: str) -> None:
    """Refuse values for names the document does not declare. Raises DocumentError."""
    unknown = [name for name in overrides if name not in document.vars]
    if unknown:
        raise DocumentError(
            Finding(
                filename,
                1,
                1,
                f"{document.name} declares no `{name}` among its vars",
                did_you_mean(name, document.vars),
            )
            for name in unknown
        )
