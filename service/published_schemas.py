"""JSON Schemas of our files, for editors: served at `/schemas/…`, and written by `init`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from schemas.config import Configuration
from schemas.testing import WorkflowTests
from service.catalogue import build_catalogue
from service.vendors import VENDORS
from service.workflows.editor_schema import DIALECT, document_schema

WORKFLOW = "workflow.json"
CONFIGURATION = "configuration.json"
TESTS = "workflow-test.json"
NAMES = (WORKFLOW, CONFIGURATION, TESTS)

_LENIENT: Mapping[str, list[str]] = {
    "integer": ["integer", "number", "string"],
    "number": ["number", "integer", "string", "boolean"],
    "boolean": ["boolean", "string", "integer", "number"],
}
"""What is also taken where a type is asked for: these files are read leniently."""


def published_schema(name: str) -> dict[str, Any]:
    """Give the schema of a name of NAMES. Raises KeyError."""
    schemas = {
        WORKFLOW: lambda: document_schema(build_catalogue()),
        CONFIGURATION: _configuration_schema,
        TESTS: _tests_schema,
    }
    return schemas[name]()


def schema_text(name: str) -> str:
    """Give the schema as a file holds it."""
    return json.dumps(published_schema(name), indent=2, ensure_ascii=False) + "\n"


def with_schema_line(text: str, schema: str) -> str:
    """Give a YAML text whose first line tells editors where its schema is."""
    line = f"# yaml-language-server: $schema={schema}\n"
    return text if "yaml-language-server:" in text else line + text


def _configuration_schema() -> dict[str, Any]:
    schema = _lenient(Configuration.model_json_schema())
    properties = schema["properties"]
    # It is known, and refused as soon as it holds anything.
    properties["subscriptions"] = {"enum": [None, []], "description": "Not in this version."}
    properties["workflows"]["items"] = {
        "anyOf": [{"type": "string"}, properties["workflows"]["items"]]
    }
    vendors = {"enum": [vendor.name for vendor in VENDORS]}
    for part in ("SourceConfig", "ConnectionConfig"):
        schema["$defs"][part]["properties"]["vendor"] = vendors
    for name, part in properties.items():
        # A key with nothing behind it is as if it were not there.
        if name not in {"subscriptions", "retention"}:
            properties[name] = {"anyOf": [part, {"type": "null"}]}
    return {"$schema": DIALECT, "title": "Hookwright configuration", **schema}


def _tests_schema() -> dict[str, Any]:
    schema = _lenient(WorkflowTests.model_json_schema(by_alias=True))
    return {"$schema": DIALECT, "title": "Tests of a Hookwright workflow", **schema}


def _lenient(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_lenient(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _lenient(value) for key, value in schema.items()}
    kind = changed.get("type")
    if changed.get("format") == "duration":
        changed["type"] = ["string", "number", "integer"]
        del changed["format"]
    elif isinstance(kind, str) and kind in _LENIENT:
        changed["type"] = _LENIENT[kind]
    return changed
