"""A source whose facts would come twice is told of by `up` and by `apply`."""

from __future__ import annotations

import json

from tests.integration.cli.conftest import Shell

CONFIGURATION = """\
sources:
  - {name: shots, vendor: vibeview, secrets: [{value: first-secret}]}
connections:
  - {name: one, vendor: vibeview, credentials: {api_token: {value: tok_one}}}
  - {name: two, vendor: vibeview, credentials: {api_token: {value: tok_two}}}
"""
SAID = "the source `shots` is tied to no connection of VibeView"
HINT = "add `connection: NAME (one or two)`"


def test_up_and_apply_name_the_source_and_what_to_add(shell: Shell) -> None:
    (shell.folder / "hookwright.yaml").write_text(CONFIGURATION)
    shell.up()
    logged = shell.log("up")
    assert SAID in logged
    assert HINT in logged
    asked = shell.start("apply", "--dry-run")
    assert asked.wait(60) == 0
    assert f"warning: {SAID}" in shell.log("apply")
    # On the channel of errors: what scripts read stays as it was.
    done = json.loads(shell.run("apply", "--dry-run", "--json"))
    assert {item["what"] for item in done} == {"unchanged"}
