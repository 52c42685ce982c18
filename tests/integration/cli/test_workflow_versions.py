"""A person looks at a workflow as it is kept, and at its earlier versions."""

from __future__ import annotations

import json

import pytest

from tests.integration.cli.conftest import Shell

FIRST = """
# why it is there
name: watched
description: Tells of the night.
on: [{manual: {}}]
steps: [{id: told, uses: alert.open, with: {key: n, title: "[one]"}}]
"""
SECOND = FIRST.replace("[one]", "[two]") + "mode: shadow\n"


@pytest.fixture(scope="module")
def watched(running: Shell) -> Shell:
    for text in (FIRST, SECOND):
        (running.folder / "workflows" / "watched.yaml").write_text(text)
        running.run("apply")
    return running


def test_a_document_is_shown_as_it_was_written_with_its_versions(watched: Shell) -> None:
    shown = watched.run("workflow", "show", "watched")
    assert SECOND.strip() in shown
    assert "enabled  shadow  from file" in shown
    assert "version 2" in shown
    earlier = watched.run("workflow", "show", "watched", "--version", "1")
    assert FIRST.strip() in earlier
    found = json.loads(watched.run("workflow", "show", "watched", "--version", "1", "--json"))
    assert (found["version"], found["current"], found["source_text"]) == (1, False, FIRST)
    assert [row["version"] for row in found["versions"]] == [2, 1]


def test_versions_are_listed_newest_first(watched: Shell) -> None:
    rows = json.loads(watched.run("workflow", "versions", "watched", "--json"))
    assert [(row["version"], row["current"]) for row in rows] == [(2, True), (1, False)]
    assert "current" in watched.run("workflow", "versions", "watched", "--limit", "1")


def test_the_list_says_which_only_play(watched: Shell) -> None:
    rows = {row["name"]: row for row in json.loads(watched.run("workflow", "list", "--json"))}
    assert (rows["watched"]["mode"], rows["alert-low-credits"]["mode"]) == ("shadow", "live")
    lines = watched.run("workflow", "list").splitlines()
    assert any("watched" in line and "shadow" in line for line in lines)


def test_what_is_not_there_is_said(watched: Shell) -> None:
    assert "no version 9" in watched.run("workflow", "show", "watched", "--version", "9", code=1)
    assert "no workflow 'none'" in watched.run("workflow", "versions", "none", code=1)
