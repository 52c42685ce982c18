"""Twins as processes: they start quickly, say where they are, and end when told or orphaned."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from examples.twins.launch import ROOT, TwinError, start_twin
from examples.twins.registry import TWIN_NAMES
from tests.servers import wait_until

TWINS = ROOT / "examples" / "twins"
NAMES = TWIN_NAMES


def test_a_twin_accepts_connections_as_soon_as_it_is_started() -> None:
    with start_twin("slack") as slack:
        answer = httpx.get(f"{slack.url}/_twin/", trust_env=False)
    assert answer.json() == {"twin": "slack"}


def test_a_stopped_twin_ends_well_and_frees_its_port() -> None:
    twin = start_twin("github")
    assert twin.stop() == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(twin.url, trust_env=False)
    port = int(twin.url.rpartition(":")[2])
    with start_twin("github", port=port) as again:
        assert again.url == twin.url


def test_stopping_does_not_wait_for_a_slow_answer() -> None:
    twin = start_twin("checksum")
    twin.fault("slow", delay_s=60)
    headers = {"Authorization": "Bearer checksum-key"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{twin.url}/public-api/v1/me", headers=headers, timeout=0.2, trust_env=False)
    began = time.monotonic()
    twin.stop()
    assert time.monotonic() - began < 30


def test_unknown_settings_are_told_when_starting() -> None:
    with pytest.raises(TwinError, match="colour"):
        start_twin("github", colour="red")


def test_several_twins_in_one_call_each_say_where_they_are() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.twins", "all"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as lines:
        told = [json.loads(lines.readline()) for _ in NAMES]
        for one in told:
            shown = httpx.get(f"{one['url']}/_twin/", trust_env=False).json()
            assert shown == {"twin": one["twin"]}
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert sorted(one["twin"] for one in told) == sorted(NAMES)


def test_a_twin_ends_when_the_process_that_started_it_is_killed() -> None:
    program = (
        "import time\n"
        "from examples.twins.launch import start_twin\n"
        "print(start_twin('slack').pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout as lines:
        pid = int(lines.readline())
    parent.kill()
    parent.wait()
    wait_until(lambda: not _is_running(pid), what="the twin follows its parent")


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")  # noqa: PTH110 - the same question


def test_twins_import_nothing_of_the_product() -> None:
    imported: set[str] = set()
    for path in TWINS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                imported.add(str(node.module).partition(".")[0])
    assert "examples" in imported
    assert imported.isdisjoint({"service", "workers", "schemas", "migrations", "tests"})
