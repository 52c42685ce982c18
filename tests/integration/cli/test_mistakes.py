"""What a newcomer does wrong is told in a line, with what to do now."""

from __future__ import annotations

import json
import stat

import pytest

from tests.integration.cli.conftest import Shell
from tests.servers import free_port


@pytest.mark.parametrize("folder", ["/proc/hw", "/sys/kernel", "a-file", "a-file/below"])
@pytest.mark.parametrize("command", ["up", "migrate", "init"])
def test_a_data_directory_that_cannot_be_written_is_said(
    shell: Shell, folder: str, command: str
) -> None:
    (shell.folder / "a-file").write_text("")
    said = shell.run(command, code=1, HOOKWRIGHT_DATA_DIR=folder, HOOKWRIGHT_PORT=str(free_port()))
    assert folder in said
    assert "hint: " in said


@pytest.mark.parametrize("port", ["its own", "another"])
def test_a_second_up_in_the_same_data_directory_is_refused(running: Shell, port: str) -> None:
    other = {} if port == "its own" else {"HOOKWRIGHT_PORT": str(free_port())}
    said = running.run("up", code=1, **other)
    assert "another `hookwright up` runs in .hookwright (process " in said
    assert "hint: stop it" in said
    assert "cannot listen" not in said


@pytest.mark.parametrize("first", [(), ("init",)])
def test_up_on_a_taken_port_makes_nothing(
    running: Shell, shell: Shell, first: tuple[str, ...]
) -> None:
    if first:
        shell.run(*first)
    before = sorted(shell.folder.rglob("*"))
    said = shell.run("up", code=1, HOOKWRIGHT_PORT=running.environment["HOOKWRIGHT_PORT"])
    assert "cannot listen on 127.0.0.1" in said
    assert "HOOKWRIGHT_PORT" in said
    assert sorted(shell.folder.rglob("*")) == before


def test_asking_whether_the_tables_are_current_makes_nothing(shell: Shell) -> None:
    assert "not current" in shell.run("migrate", "--check", code=1)
    assert "not current" in shell.run("token", "list", code=1)
    assert list(shell.folder.iterdir()) == []


def test_the_sqlite_files_are_for_their_owner_alone(running: Shell) -> None:
    found = sorted((running.folder / ".hookwright").glob("hookwright.db*"))
    assert len(found) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("sqlite:////nodir/x.db", "/nodir/x.db"),
        ("postgresql://u:swordfish@127.0.0.1:1/name", "127.0.0.1:1/name"),
    ],
)
def test_a_database_that_is_away_is_named_without_its_password(
    shell: Shell, url: str, named: str
) -> None:
    said = shell.run("migrate", code=1, HOOKWRIGHT_DATABASE_URL=url)
    assert named in said.partition("\n")[0]
    assert "HOOKWRIGHT_DATABASE_URL" in said
    assert "swordfish" not in said


def test_a_misspelt_variable_is_told(shell: Shell) -> None:
    said = shell.run("migrate", "--check", code=1, HOOKWRIGHT_PRT="1", HOOKWRIGHT_TEST_X="1")
    assert "HOOKWRIGHT_PRT is not known" in said
    assert "did you mean HOOKWRIGHT_PORT?" in said
    assert "HOOKWRIGHT_TEST_X" not in said


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SECRET_KEYS", "short", "HOOKWRIGHT_SECRET_KEYS: every key needs at least 32"),
        ("PORT", "many", "HOOKWRIGHT_PORT: must be a whole number"),
        ("PORT", "99999", "HOOKWRIGHT_PORT: must be at most 65535"),
        ("LOG_FORMAT", "xml", "HOOKWRIGHT_LOG_FORMAT: must be one of 'console', 'json'"),
    ],
)
def test_a_wrong_variable_is_told_in_plain_words(
    shell: Shell, name: str, value: str, words: str
) -> None:
    said = shell.run("migrate", "--check", code=1, **{f"HOOKWRIGHT_{name}": value})
    assert words in said
    assert "Value error" not in said


def test_rows_that_go_and_an_archive_that_cannot_be_written_are_said(shell: Shell) -> None:
    shell.run("migrate")
    (shell.folder / "a-file").write_text("")
    there = shell.folder / "a-file/archive"
    (shell.folder / "hookwright.yaml").write_text(
        f"retention: {{deliveries: 1d, archive: {{directory: {there}}}}}\n"
    )
    key = "a-key-that-is-long-enough-for-tests"
    asked = shell.start("apply", "--dry-run", HOOKWRIGHT_SECRET_KEYS=key)
    assert asked.wait(60) == 0
    said = shell.log("apply")
    assert f"(deliveries 30d → 1d, archive off → in {there})" in said
    assert "deliveries, events older than 1d will be removed, once they are archived" in said
    assert f"warning: the archive {there} cannot be written here: Not a directory" in said


def test_lint_tells_of_every_file_also_when_one_is_missing(shell: Shell) -> None:
    (shell.folder / "bad.yaml").write_text("name: W!\non: [{event: a}]\nsteps: []\n")
    said = shell.run("workflow", "lint", "nofile.yaml", "bad.yaml", code=1)
    assert "bad.yaml:1:7" in said
    assert "nofile.yaml:1:1: the file cannot be read: No such file" in said


def test_without_a_server_people_hear_of_the_server_and_not_of_tokens(shell: Shell) -> None:
    said = shell.run("run", "list", code=1, HOOKWRIGHT_PORT=str(free_port()))
    assert "nothing answers at http://127.0.0.1:" in said
    assert "`hookwright up` starts it" in said
    assert "token" not in said


@pytest.mark.parametrize("url", ["foo", "localhost:8080", "ftp://host", "http:///x", "http://h:x"])
def test_what_is_no_address_is_said(shell: Shell, url: str) -> None:
    said = shell.run("run", "list", code=1, HOOKWRIGHT_URL=url)
    assert f"HOOKWRIGHT_URL is no address: '{url}'" in said
    assert "--url is no address" in shell.run("run", "list", "--url", url, code=1)


def test_the_beginning_of_an_id_is_enough(running: Shell) -> None:
    shell = running
    shell.run("send", "generic", "build.failed", "--repeat", "2")
    first, second = json.loads(shell.run("delivery", "list", "--limit", "2", "--json"))
    whole, other = first["id"], second["id"]
    shared = next(at for at, pair in enumerate(zip(whole, other, strict=True)) if len({*pair}) > 1)
    assert f"id        {whole}" in shell.run("delivery", "show", whole[: max(shared + 1, 4)])
    if shared >= 4:
        several = shell.run("delivery", "show", whole[:shared], code=1)
        assert "is the beginning of " in several
        assert "give more of it" in several


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("run", "ffffffff"),
        ("run", "nothing"),
        ("delivery", "0197c9bb-6f0e-7c21-9d4e-0a51f0c3b7aa"),
        ("event", "x"),
    ],
)
def test_an_id_that_is_not_there_is_said_with_where_ids_are(
    running: Shell, kind: str, name: str
) -> None:
    said = running.run(kind, "show", name, code=1)
    assert f"there is no {kind} `{name}`" in said
    assert f"`hookwright {kind} list` shows the ids" in said


def test_a_source_that_was_not_applied_is_told_with_what_to_do(running: Shell) -> None:
    file = running.folder / "hookwright.yaml"
    other = running.folder / "other.yaml"
    text = file.read_text()
    other.write_text(text.replace("name: generic", "name: unapplied"))
    said = running.run("send", "unapplied", "build.failed", code=1, HOOKWRIGHT_CONFIG=str(other))
    assert "404" in said
    assert "hint: is the source applied? `hookwright apply`" in said
    assert "run.failed\n" in running.run("send", "vibeview")


def test_a_state_that_does_not_exist_is_answered_with_those_that_do(running: Shell) -> None:
    said = running.run("run", "list", "--status", "bogus", code=2)
    assert "'bogus' is not one of 'pending', 'running', 'waiting', 'succeeded'" in said


def test_apply_lists_what_changes_and_counts_the_rest(running: Shell) -> None:
    said = running.run("apply", "--dry-run")
    assert said.strip() == "Would be: 12 unchanged"


def test_a_database_that_does_not_answer_leads_to_the_doctor(shell: Shell) -> None:
    url = f"postgresql://a:b@127.0.0.1:{free_port()}/x"
    said = shell.run("verify", code=1, HOOKWRIGHT_DATABASE_URL=url)
    assert "the database is not available" in said
    assert "hint: `hookwright doctor`" in said
