"""`make demo`: the whole product against stand-ins, as a newcomer sees it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.servers import wait_until

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "examples.demo"]
END_S = 110.0


@pytest.mark.timeout(180)
def test_it_tells_four_workflows_and_ends_with_0_when_all_is_as_it_should_be() -> None:
    done = subprocess.run(
        [*COMMAND, "--once"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for workflow in (
        "heal-failed-run",
        "comment-visual-regression",
        "alert-low-credits",
        "stop-misbehaving-agent",
    ):
        assert f"╭─ {workflow}  version 1" in done.stdout
    assert done.stdout.count("✓ succeeded after") == 6
    assert "approved by dana" in done.stdout
    assert "https://github.com/acme-co/my-tests/pull/" in done.stdout
    assert "the same message, edited" in done.stdout
    assert "Everything ended as it should" in done.stdout


@pytest.mark.timeout(180)
def test_it_stays_up_until_it_is_interrupted_and_leaves_nothing_behind(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(
            COMMAND, cwd=ROOT, stdout=file, stderr=file, env={"TMPDIR": str(tmp_path)}
        )
    try:
        wait_until(
            lambda: process.poll() is not None or "stays up until" in said.read_text(),
            END_S,
            what="the demonstration stays up",
        )
        found = re.search(
            r"^  export HOOKWRIGHT_URL=(\S+)\n  export HOOKWRIGHT_TOKEN=(\S+)\n"
            r"  \S*/hookwright run list$",
            said.read_text(),
            re.MULTILINE,
        )
        assert found is not None, said.read_text()
        url, token = found.groups()
        answer = httpx.get(f"{url}/api/v1/runs", headers={"Authorization": f"Bearer {token}"})
        assert len(answer.json()["data"]) == 6
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    assert [path.name for path in tmp_path.iterdir()] == ["said"]
