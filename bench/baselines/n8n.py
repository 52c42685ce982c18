"""(f) n8n on its own SQLite: a workflow that checks the HMAC and answers; executions are saved.

Measured where `n8n` is found; `npm install -g n8n` brings it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.payload import SECRET
from tests.servers import free_port

PROGRAM = "n8n"
PATH = "/webhook/github"
_ID = "benchbenchbench1"
_EXPECTED = "={{ $json.headers['x-hub-signature-256'] }}"
_DIGEST = "=sha256={{ $json.digest }}"


def command(_directory: Path, _port: int) -> list[str]:
    """Give the command line that serves `PATH`, once `prepare` was called."""
    found = shutil.which(PROGRAM)
    assert found is not None
    return [found, "start"]


def environment(directory: Path, port: int) -> dict[str, str]:
    """Give the variables that it runs with."""
    return {
        "N8N_USER_FOLDER": str(directory),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_PORT": str(port),
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_RUNNERS_BROKER_PORT": str(free_port()),
    }


def prepare(directory: Path, variables: Mapping[str, str]) -> None:
    """Store the workflow and make it live."""
    found = shutil.which(PROGRAM)
    assert found is not None
    path = directory / "workflow.json"
    path.write_text(json.dumps(_workflow()), encoding="utf-8")
    for arguments in (
        ["import:workflow", f"--input={path}"],
        ["publish:workflow", f"--id={_ID}"],
    ):
        subprocess.run(
            [found, *arguments], env={**os.environ, **variables}, check=True, capture_output=True
        )


def _workflow() -> dict[str, Any]:
    digest = {
        "action": "hmac",
        "binaryData": True,
        "binaryPropertyName": "data",
        "type": "SHA256",
        "dataPropertyName": "digest",
        "secret": SECRET,
    }
    condition = {
        "id": "1",
        "leftValue": _DIGEST,
        "rightValue": _EXPECTED,
        "operator": {"type": "string", "operation": "equals"},
    }
    conditions = {
        "options": {"caseSensitive": True, "typeValidation": "strict", "version": 2},
        "conditions": [condition],
        "combinator": "and",
    }
    receive = {
        "httpMethod": "POST",
        "path": "github",
        "responseMode": "responseNode",
        "options": {"rawBody": True},
    }
    nodes = [
        _node("Webhook", "webhook", 2, receive, webhookId="github"),
        _node("Crypto", "crypto", 1, digest),
        _node("If", "if", 2.2, {"conditions": conditions}),
        _node("Accept", "respondToWebhook", 1.1, _answer(202)),
        _node("Refuse", "respondToWebhook", 1.1, _answer(401)),
    ]
    return {
        "id": _ID,
        "name": "receive",
        "active": False,
        "nodes": nodes,
        "connections": {
            "Webhook": {"main": [[_to("Crypto")]]},
            "Crypto": {"main": [[_to("If")]]},
            "If": {"main": [[_to("Accept")], [_to("Refuse")]]},
        },
        "settings": {"executionOrder": "v1", "saveDataSuccessExecution": "all"},
    }


def _node(
    name: str, kind: str, version: float, parameters: dict[str, Any], **more: str
) -> dict[str, Any]:
    return {
        "id": name.lower(),
        "name": name,
        "type": f"n8n-nodes-base.{kind}",
        "typeVersion": version,
        "position": [0, 0],
        "parameters": parameters,
        **more,
    }


def _answer(status: int) -> dict[str, Any]:
    return {"respondWith": "noData", "options": {"responseCode": status}}


def _to(name: str) -> dict[str, Any]:
    return {"node": name, "type": "main", "index": 0}
