"""The JSON Schema of workflow documents, with which editors complete and underline.

It says less than `document.parse_document` (no editor evaluates expressions) and nothing else: what
it underlines is refused, and a document that is accepted is never underlined.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from schemas.document import NAMED_KINDS, Document
from service.workflows.catalogue import ActionSignature, Catalogue
from service.workflows.parts import LABELS, STEP_MODELS
from service.workflows.step_checks import ASK
from service.workflows.template_checks import TEMPLATE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION = {"type": "string", "pattern": r"\$\{\{", "description": "Holds a `${{ … }}`."}
_TEMPLATE = {
    "type": "object",
    "properties": {TEMPLATE: {"type": "string", "minLength": 1}},
    "required": [TEMPLATE],
    "additionalProperties": False,
    "description": "The text that a template gives, by its path or its name.",
}
_COMPUTED = {"$ref": "#/$defs/Computed"}
_PARTS = frozenset(part.__name__ for part in LABELS)


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
    for kind, model in STEP_MODELS.items():
        if kind not in NAMED_KINDS:
            step = definitions[model.__name__]
            step["required"] = [key for key in step["required"] if key != "id"]
    _complete_actions(definitions, actions, references)
    _complete_names(definitions, catalogue)
    return {
        "$schema": DIALECT,
        "title": "Hookwright workflow",
        **definitions.pop("Document"),
        "$defs": {**definitions, "Computed": {"anyOf": [_EXPRESSION, _TEMPLATE]}},
    }


def _complete_actions(
    definitions: dict[str, Any], actions: list[ActionSignature], references: Any
) -> None:
    if not actions:
        return
    step = definitions["ActionStep"]
    step["properties"]["uses"] = {
        "title": "Uses",
        "oneOf": [{"const": action.name, "description": action.summary} for action in actions],
    }
    step["allOf"] = [
        _parameters(action, references[action.params, "validation"]) for action in actions
    ]


def _complete_names(definitions: dict[str, Any], catalogue: Catalogue) -> None:
    """Let editors complete vendors and those that can ask for approvals."""
    if catalogue.vendors is not None:
        for part in ("EventTrigger", "WaitFor"):
            names = sorted({*catalogue.vendors, "hookwright"})
            definitions[part]["properties"]["vendor"]["anyOf"] = [
                {"enum": names},
                {"type": "null"},
            ]
    asking = sorted(name.removesuffix(f".{ASK}") for name in catalogue.actions if f".{ASK}" in name)
    definitions["Approval"]["properties"]["ask"]["anyOf"] = [{"enum": asking}, {"type": "null"}]


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
    """Let an expression or a template stand wherever a value of a parameter may."""
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
    return {**kept, "anyOf": [_loosened(schema), _COMPUTED]}
