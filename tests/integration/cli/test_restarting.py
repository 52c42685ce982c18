"""A restart takes deliveries before it has applied the configuration, and yet applies it."""

from __future__ import annotations

import json

import httpx

from tests.integration.cli.conftest import END_S, Shell
from tests.servers import NO_AUTHORITIES, wait_until

WORKFLOW = """
name: small
on: [{manual: {}}]
steps: [{id: told, uses: alert.open, with: {key: a, title: b}}]
"""


def restart(shell: Shell) -> None:
    """Kill what runs, and start it again."""
    killed = shell.processes.pop()
    killed.kill()
    killed.wait()
    shell.up()


def applied(shell: Shell) -> dict[str, int]:
    """Wait until the configuration was applied; gives the line that tells it."""

    def told() -> dict[str, int] | None:
        lines = [json.loads(one) for one in shell.log("up").splitlines() if one.startswith("{")]
        found = [one for one in lines if one["event"] == "configuration_applied"]
        return found[0] if found else None

    return wait_until(told, END_S, what="the configuration is applied") or {}


def test_what_changed_takes_effect_with_a_restart(shell: Shell) -> None:
    small = shell.folder / "workflows" / "small.yaml"
    shell.up()
    assert shell.log("up").index("configuration_applied") < shell.log("up").index("is up at")
    small.write_text(WORKFLOW)
    restart(shell)
    assert applied(shell)["created"] == 1
    # It was not known when the door opened.
    assert shell.log("up").index("is up at") < shell.log("up").index("configuration_applied")
    health = httpx.get(
        f"http://127.0.0.1:{shell.environment['HOOKWRIGHT_PORT']}/health/ready",
        verify=NO_AUTHORITIES,
    )
    assert health.json()["status"] == "ok"
    small.write_text(WORKFLOW.replace("told", "1"))
    killed = shell.processes.pop()
    killed.kill()
    killed.wait()
    process = shell.start("up")
    assert process.wait(END_S) == 1
    said = shell.log("up")
    assert "workflows/small.yaml:4:" in said
    assert "Traceback" not in said
