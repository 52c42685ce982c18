"""`hookwright doctor`: for people and for programs, beside a server and without one."""

from __future__ import annotations

import json

from tests.integration.cli.conftest import Shell


def test_the_doctor_is_asked_before_the_start_and_beside_a_server(shell: Shell) -> None:
    before = json.loads(shell.run("doctor", "--json", code=1))
    failed = {check["name"] for check in before["checks"] if check["grade"] == "fail"}
    assert failed == {"database", "secret keys"}
    assert all(check["to_do"] for check in before["checks"] if check["grade"] != "good")
    assert not (shell.folder / ".hookwright").exists()

    shell.up()
    said = shell.run("doctor", COLUMNS="80")
    assert "✓ workers" in said
    assert "! connections" in said
    assert "→ " in said
    assert said.splitlines()[-1].endswith(" good")
    assert "must be mended" not in said
