"""(f) Debian's `webhook`: a rule that checks the HMAC, then a command. It stores nothing.

It answers with the command's output: of its two ways that is the faster one, as nothing piles up
behind the answers.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.payload import SECRET

PROGRAM = "webhook"
HOOK = "github"
INSTALL = "apt install webhook"


def command(directory: Path, port: int) -> list[str]:
    """Write the hook's definition; gives the command line that serves `/hooks/github`."""
    hooks = directory / "hooks.json"
    secret = {"type": "payload-hmac-sha256", "secret": SECRET}
    parameter = {"source": "header", "name": "X-Hub-Signature-256"}
    hook = {
        "id": HOOK,
        "execute-command": shutil.which("true"),
        "include-command-output-in-response": True,
        "trigger-rule": {"match": {**secret, "parameter": parameter}},
    }
    hooks.write_text(json.dumps([hook]), encoding="utf-8")
    found = shutil.which(PROGRAM)
    assert found is not None
    return [found, "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port)]
