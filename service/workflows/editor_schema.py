"""The JSON Schema of workflow documents, with which editors complete and underline.

It says less than `document.parse_document` (no editor evaluates expressions) and nothing else: what
it underlines is refused, and a document that is accepted is never underlined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from schemas.document import NAMED_KINDS, Document
from service.workflows.catalogue import ActionSignature, Catalogue
from service.workflows.parts import LABELS, STEP_MODELS, TRIGGER_KINDS, keys_of
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
    kinds = {
        "Step": _one_kind(STEP_MODELS, definitions),
        "Trigger": _one_kind(TRIGGER_KINDS, definitions),
    }
    definitions = {name: _by_kind(schema) for name, schema in definitions.items()}
    return {
        "$schema": DIALECT,
        "title": "Hookwright workflow",
        **definitions.pop("Document"),
        "$defs": {**definitions, **kinds, "Computed": {"anyOf": [_EXPRESSION, _TEMPLATE]}},
    }


def _one_kind(models: Mapping[str, type[BaseModel]], definitions: dict[str, Any]) -> dict[str, Any]:
    """Give what holds for the kind that is written, so that a typo in it is underlined alone.

    With `oneOf` a document that fits no kind is wrong as a whole, and nobody sees where.
    """
    known = {key: True for model in models.values() for key in keys_of(model)}
    chosen: dict[str, Any] = {
        "if": {"propertyNames": {"enum": list(known)}},
        "then": {"anyOf": [{"required": [kind]} for kind in models]},
        "else": {"properties": known, "additionalProperties": False},
    }
    for kind, model in reversed(list(models.items())):
        reference = _reference(model)
        chosen = {"if": {"required": [kind]}, "then": reference, "else": chosen}
    written = [definitions[model.__name__]["properties"] for model in models.values()]
    common = set.intersection(*(set(keys) for keys in written))
    # Editors complete these before there is a kind; what they may hold is said with the kind.
    offered = {
        key: {name: schema[name] for name in ("title", "description") if name in schema}
        for keys in written
        for key, schema in keys.items()
        if key in common or key in models
    }
    return {"type": "object", "properties": offered, **chosen}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{model.__name__}"}


def _by_kind(schema: Any) -> Any:
    """Let steps and triggers be told apart by their kind wherever they stand."""
    if isinstance(schema, list):
        return [_by_kind(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    for name, models in (("Step", STEP_MODELS), ("Trigger", TRIGGER_KINDS)):
        if schema.get("oneOf") == [_reference(model) for model in models.values()]:
            return {"$ref": f"#/$defs/{name}"}
    choice = schema.get("anyOf", [])
    for part in choice:
        if str(part.get("$ref", "")).rpartition("/")[2] in _PARTS:
            others = [other for other in choice if other != part]
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return {**rest, "if": {"type": "object"}, "then": part, "else": {"anyOf": others}}
    return {key: _by_kind(value) for key, value in schema.items()}


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
