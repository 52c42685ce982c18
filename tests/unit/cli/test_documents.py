"""`workflow lint` and `workflow graph` take files and folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli.main import hookwright

GOOD = "name: {}\non: [{{event: test_run.failed}}]\nsteps: [{{id: rest, sleep: 1s}}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "workflows"
    (made / "texts").mkdir(parents=True)
    for name in ("one.yaml", "two.yml"):
        (made / name).write_text(GOOD.format(name.partition(".")[0]))
    (made / "one.test.yaml").write_text("this is no workflow")
    (made / "texts" / "deeper.yaml").write_text("nor is this")
    return made


def test_a_folder_stands_for_the_documents_in_it(folder: Path) -> None:
    done = CliRunner().invoke(hookwright, ["workflow", "lint", str(folder)])
    assert done.output == "2 checked, nothing to say\n"
    done = CliRunner().invoke(hookwright, ["workflow", "graph", str(folder), "--json"])
    assert '"one"' in done.output
    assert '"two"' in done.output


def test_a_folder_without_documents_is_a_fault(folder: Path) -> None:
    empty = folder / "empty"
    empty.mkdir()
    done = CliRunner().invoke(hookwright, ["workflow", "lint", str(folder), str(empty)])
    assert f"{empty}:1:1: the folder holds no *.yaml" in done.output
    assert done.output.endswith("1 fault in 1 of 3\n")
