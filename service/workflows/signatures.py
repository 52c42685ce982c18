"""What others need to know of a workflow to call it, read from a document that may have faults."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from schemas.document import Document, Input
from schemas.events import Json
from service.workflows.catalogue import WorkflowSignature


def signature_of(data: Json) -> WorkflowSignature | None:
    """Give the signature of a document's plain values; None when it has no name."""
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(name, str):
        return None
    triggers = data.get("on")
    manual = [
        item["manual"]
        for item in (triggers if isinstance(triggers, list) else ())
        if isinstance(item, Mapping) and "manual" in item
    ]
    inputs: dict[str, Input] = {}
    for part in manual:
        declared = part.get("inputs") if isinstance(part, Mapping) else None
        for key, value in declared.items() if isinstance(declared, Mapping) else ():
            try:
                inputs[key] = Input.model_validate(value)
            except ValidationError:
                inputs[key] = Input()
    outputs = data.get("outputs")
    names = tuple(outputs) if isinstance(outputs, Mapping) else ()
    return WorkflowSignature(name, inputs, names, is_callable=bool(manual))


def signature_of_document(document: Document) -> WorkflowSignature:
    """Give the signature of a document."""
    found = signature_of(document.model_dump(mode="json"))
    return found or WorkflowSignature(document.name)
