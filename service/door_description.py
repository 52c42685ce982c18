"""The door in the words of OpenAPI: it is no route of the framework, so it is described by hand."""

from __future__ import annotations

from typing import Any

_PATHS = {
    "/hooks/{source}": ("source",),
    "/hooks/{source}/{token}": ("source", "token"),
}
_PARAMETERS = {
    "source": "The source's name.",
    "token": "The source's path token, for vendors that sign nothing.",
}
_STORED = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "The stored delivery."},
        "status": {"type": "string", "enum": ["accepted", "duplicate"]},
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
    },
}
_PROBLEMS = {
    "400": "The handshake is malformed.",
    "401": "The delivery could not be verified; the answer is the same for every reason.",
    "404": "Nothing is received here: unknown or disabled source, wrong path token, no secret.",
    "408": "The headers or the body did not arrive in time.",
    "413": "The body is larger than the source's limit.",
    "415": "The body is compressed or otherwise encoded.",
    "429": "Over the source's rate.",
    "431": "More than 200 headers, or more than 32 KiB of them.",
    "503": "It cannot be stored now; nothing was lost that was answered with 2xx.",
}
_RETRIED = frozenset({"429", "503"})


def describe_door(openapi: dict[str, Any]) -> None:
    """Add the door's paths to an application's OpenAPI document."""
    paths = openapi.setdefault("paths", {})
    for path, names in _PATHS.items():
        suffix = "_by_path_token" if "token" in names else ""
        paths[path] = {
            "parameters": [_parameter(name) for name in names],
            "post": {
                "operationId": f"receive_delivery{suffix}",
                "tags": ["door"],
                "summary": "Receive a delivery, verify it and store it.",
                "description": "Signed as the source's vendor signs. A 2xx is given once it is "
                "stored, never before. Some vendors' sources answer with another 2xx or no body.",
                "requestBody": {
                    "required": True,
                    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
                },
                "responses": {
                    "202": _answer("Verified and stored.", _STORED),
                    "200": _answer("Stored before (its id), or a handshake's answer.", _STORED),
                    **{status: _problem(status, text) for status, text in _PROBLEMS.items()},
                },
                "security": [],
            },
            "options": {
                "operationId": f"consent_to_deliveries{suffix}",
                "tags": ["door"],
                "summary": "CloudEvents' abuse-protection handshake.",
                "responses": {
                    "200": {"description": "Consent, in WebHook-Allowed-Origin and -Rate."},
                    "204": {"description": "No consent was asked for; the methods are in Allow."},
                    "404": _problem("404", _PROBLEMS["404"]),
                },
                "security": [],
            },
        }


def _parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _PARAMETERS[name],
        "schema": {"type": "string"},
    }


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(status: str, description: str) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "description": description,
        "content": {"application/problem+json": {"schema": _PROBLEM}},
    }
    if status in _RETRIED:
        seconds = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        problem["headers"] = {"Retry-After": seconds}
    return problem
