"""The JSON Schema of workflow documents, with which editors complete and underline.

It says less than `document.parse_document` (no editor evaluates expressions) and nothing else: what
it underlines is refused, and a document that is accepted is never underlined.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from schemas.document import ActionStep, Document, EventTrigger, Poll, Retry
from service.workflows.catalogue import ActionSignature, Catalogue

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION = {"type": "string", "pattern": r"\$\{\{", "description": "Holds a `${{ … }}`."}
_PARTS = {part.__name__ for part in (Document, EventTrigger, ActionStep, Retry, Poll)}


def document_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Give the schema; actions complete by name, and their parameters by action."""
    actions = [catalogue.actions[name] for name in sorted(catalogue.actions)]
    references, shared = models_json_schema(
        [(Document, "validation"), *((action.params, "validation") for action in actions)],
        by_alias=True,
    )
    definitions: dict[str, Any] = {
        name: schema if name in _PARTS else _loosened(schema)
        for name, schema in shared["$defs"].items()
    }
    step = definitions["ActionStep"]
    if actions:
        step["properties"]["uses"] = {
            "title": "Uses",
            "oneOf": [{"const": action.name, "description": action.summary} for action in actions],
        }
        step["allOf"] = [
            _parameters(action, references[action.params, "validation"]) for action in actions
        ]
    if catalogue.vendors is not None:
        vendor = definitions["EventTrigger"]["properties"]["vendor"]
        vendor["anyOf"] = [{"enum": sorted(catalogue.vendors)}, {"type": "null"}]
    return {
        "$schema": DIALECT,
        "title": "Hookwright workflow",
        **definitions.pop("Document"),
        "$defs": definitions,
    }


def _parameters(action: ActionSignature, reference: dict[str, Any]) -> dict[str, Any]:
    required = any(field.is_required() for field in action.params.model_fields.values())
    then: dict[str, Any] = {"properties": {"with": reference}}
    if required:
        then["required"] = ["with"]
    return {
        "if": {"properties": {"uses": {"const": action.name}}, "required": ["uses"]},
        "then": then,
    }


def _loosened(schema: dict[str, Any]) -> dict[str, Any]:
    """Let an expression stand wherever a value of a parameter may."""
    changed = dict(schema)
    if "properties" in changed:
        changed["properties"] = {
            name: _or_expression(value) for name, value in changed["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(changed.get(key), dict):
            changed[key] = _or_expression(changed[key])
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if isinstance(changed.get(key), list):
            changed[key] = [_loosened(item) for item in changed[key]]
    return changed


def _or_expression(schema: dict[str, Any]) -> dict[str, Any]:
    if not schema:
        return schema
    kept: dict[str, Any] = {
        key: schema[key] for key in ("title", "description", "default") if key in schema
    }
    return {**kept, "anyOf": [_loosened(schema), _EXPRESSION]}
