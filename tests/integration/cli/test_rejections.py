"""A wrong secret, from the first refusal to the run that it held up, at the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.cli.conftest import END_S, Shell
from tests.integration.door.receiver import sign_github
from tests.servers import NO_AUTHORITIES, wait_until

RIGHT = "the-secret-that-github-has"
CONFIGURATION = """
sources:
  - {name: github, vendor: github, secrets: [{value: @SECRET@}]}
workflows: [note.yaml]
"""
WORKFLOW = """
name: note
on: [{event: "pull_request.*"}]
steps: [{emit: {type: note.taken}}]
"""


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A server whose source has another secret than its sender."""
    shell = Shell(tmp_path_factory.mktemp("mistaken"))
    write(shell.folder, "another-secret")
    (shell.folder / "note.yaml").write_text(WORKFLOW, encoding="utf-8")
    shell.up()
    yield shell
    shell.end()


def write(folder: Path, secret: str) -> None:
    text = CONFIGURATION.replace("@SECRET@", secret)
    (folder / "hookwright.yaml").write_text(text, encoding="utf-8")


def post(shell: Shell, ident: str, source: str = "github") -> httpx.Response:
    signed = sign_github(ident, secret=RIGHT)
    url = f"http://127.0.0.1:{shell.environment['HOOKWRIGHT_PORT']}/hooks/{source}"
    with httpx.Client(verify=NO_AUTHORITIES) as client:
        return client.post(url, content=signed.body, headers=list(signed.headers))


def read(shell: Shell, *arguments: str, code: int = 0) -> Any:
    return json.loads(shell.run(*arguments, "--json", code=code))


def test_what_was_refused_is_had_after_all_and_once(mistaken: Shell) -> None:
    assert post(mistaken, "d-1").status_code == 401
    assert post(mistaken, "d-2", source="githubb").status_code == 404
    wait_until(lambda: len(read(mistaken, "rejection", "list")) == 2, END_S)
    mistyped, wrong = (row["id"] for row in read(mistaken, "rejection", "list"))
    said = mistaken.run("rejection", "show", wrong)
    assert "signature_mismatch" in said
    assert "wrong_secret" in said
    assert "delivery reverify --source github" in said
    assert "x-github-delivery: d-1" in said
    assert "githubb" in mistaken.run("rejection", "list", "--reason", "unknown_source")
    nothing = mistaken.run("delivery", "reverify", "--id", wrong[:20], code=1)
    assert "still not authentic: signature_mismatch" in nothing

    write(mistaken.folder, RIGHT)
    mistaken.run("apply")
    foreseen = mistaken.run("delivery", "reverify", "--since", "1h", "--dry-run")
    assert "1  accepted" in foreseen
    assert "1  sent to a name that is no source; --as SOURCE" in foreseen
    assert read(mistaken, "run", "list") == []
    said = mistaken.run("delivery", "reverify", "--source", "github", "--since", "1h", "--yes")
    assert "1  accepted" in said
    found = read(mistaken, "delivery", "reverify", "--id", mistyped, "--as", "github")
    assert (found["accepted"], found["results"][0]["source"]) == (1, "githubb")
    wait_until(
        lambda: [run["status"] for run in read(mistaken, "run", "list")] == ["succeeded"] * 2, END_S
    )

    (delivery, _) = read(mistaken, "delivery", "list")[::-1]
    assert f"refused at first, as rejection {wrong}" in mistaken.run(
        "delivery", "show", delivery["id"]
    )
    assert f"delivery {delivery['id']}" in mistaken.run("rejection", "show", wrong)
    wait_until(lambda: post(mistaken, "d-1").is_success)
    assert post(mistaken, "d-1").json() == {"id": delivery["id"], "status": "duplicate"}
    assert "nothing was refused" in mistaken.run("delivery", "reverify")
    assert len(read(mistaken, "run", "list")) == 2


def test_wrong_uses_are_told(mistaken: Shell) -> None:
    said = mistaken.run("delivery", "reverify", "--since", "yesterday", code=2)
    assert "'yesterday' is no time: write 24h" in said
    said = mistaken.run("delivery", "reverify", "--as", "githbu", code=1)
    assert "did you mean `github`?" in said
    assert "hookwright rejection list" in mistaken.run("rejection", "show", "0000", code=1)
