"""Commands that tell of vendors, actions and schemes: they need no server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from service.actions import Actions
from service.cli.main import hookwright
from service.errors import HookwrightError, NotFound
from service.vendors import BY_NAME, VENDORS

ACTIONS = Actions(BY_NAME)


def run(*arguments: str, **more: Any) -> Result:
    """Run a command; errors of ours are left to be looked at."""
    return CliRunner().invoke(hookwright, arguments, **more)


def printed(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


# --- vendors ------------------------------------------------------------------------------------


def test_every_vendor_is_listed() -> None:
    lines = printed("vendor", "list").splitlines()
    assert [line.split()[0] for line in lines[2:]] == [vendor.name for vendor in VENDORS]
    assert [row["name"] for row in json.loads(printed("vendor", "list", "--json"))] == [
        vendor.name for vendor in VENDORS
    ]


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_a_vendor_is_shown_with_its_steps_options_and_actions(vendor: Any) -> None:
    said = printed("vendor", "show", vendor.name)
    guide = vendor.guide
    for step in (*guide.incoming, *guide.outgoing):
        assert step.replace("{url}", f"https://YOUR-ADDRESS/hooks/{vendor.name}") in said
    for text in (*guide.notes, *guide.pages, guide.configuration.rstrip("\n")):
        assert text in said
    models = [vendor.incoming.options] if vendor.incoming else []
    models += [vendor.outgoing.options, vendor.outgoing.credentials] if vendor.outgoing else []
    for model in models:
        for name in model.model_fields:
            assert f"  {name}  " in said
    for action in vendor.actions:
        assert f"  {action.name}  " in said
    json.loads(printed("vendor", "show", vendor.name, "--json"))


@pytest.mark.parametrize(
    "vendor", [vendor for vendor in VENDORS if vendor.guide.template], ids=lambda found: found.name
)
def test_a_template_is_printed_alone_so_that_it_can_be_copied(vendor: Any) -> None:
    said = printed("vendor", "show", vendor.name, "--template")
    assert said == vendor.guide.template.rstrip("\n") + "\n"


def test_a_vendor_without_a_template_says_so() -> None:
    done = run("vendor", "show", "github", "--template")
    assert isinstance(done.exception, HookwrightError)
    assert "there is no template" in done.exception.message


def test_an_unknown_vendor_is_told_with_the_nearest_name() -> None:
    done = run("vendor", "show", "githob")
    assert isinstance(done.exception, NotFound)
    assert done.exception.hint == "did you mean `github`?"


# --- actions ------------------------------------------------------------------------------------


def test_every_action_is_listed_with_how_often_it_happens() -> None:
    lines = printed("workflow", "actions").splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(ACTIONS)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_tells_what_it_takes_and_gives(name: str) -> None:
    found = ACTIONS[name]
    action = getattr(found, "action", found)
    said = printed("workflow", "actions", name)
    for field in (*action.params.model_fields, *action.outputs.model_fields):
        assert f"    {field}  " in said
    for field, info in action.params.model_fields.items():
        (line,) = [
            text
            for text in said.partition("  gives")[0].splitlines()
            if text.startswith(f"    {field}  ")
        ]
        assert line.endswith("  needed") == info.is_required()
    assert any(word in said for word in ("lost", "our own database"))


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_json_gives_schemas_that_programs_can_use(name: str) -> None:
    told = json.loads(printed("workflow", "actions", name, "--json"))
    for part in ("params", "outputs"):
        Draft202012Validator.check_schema(told[part])
    assert told["params"]["additionalProperties"] is False


def test_the_actions_of_a_vendor_are_shown_together() -> None:
    said = printed("workflow", "actions", "github")
    told = json.loads(printed("workflow", "actions", "github", "--json"))
    assert [row["name"] for row in told] == [name for name in ACTIONS if name.startswith("github.")]
    assert all(f"{row['name']}  {row['summary']}" in said for row in told)


def test_an_unknown_action_is_told_with_the_nearest_name() -> None:
    done = run("workflow", "actions", "github.coment")
    assert isinstance(done.exception, NotFound)
    assert done.exception.hint == "did you mean `github.comment`?"


# --- identify -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--delivery", "1", "--rejection", "2"),
        ("--delivery-file", "a", "--rejection", "2"),
    ],
)
def test_identify_needs_exactly_one_request(arguments: tuple[str, ...]) -> None:
    done = run("source", "identify", *arguments)
    assert (done.exit_code, "one of --delivery-file" in done.output) == (2, True)


def request_file(folder: Path) -> str:
    file = folder / "request.txt"
    file.write_bytes(b"POST / HTTP/1.1\nX-Buildkite-Token: hush\n\nbody")
    return str(file)


def test_a_secret_is_never_an_argument_and_never_printed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n", encoding="utf-8")
    file = request_file(tmp_path)
    said = printed("source", "identify", "--delivery-file", file, "--secret-file", str(secret))
    assert "X-Buildkite-Token" in said
    assert "hush" not in said
    assert not any(
        "--secret " in line for line in printed("source", "identify", "--help").splitlines()
    )


def test_nothing_that_fits_is_a_failure(tmp_path: Path) -> None:
    done = run(
        "source",
        "identify",
        "--delivery-file",
        request_file(tmp_path),
        "--secret-env",
        "WRONG",
        "--json",
        env={"WRONG": "loud"},
        standalone_mode=False,
    )
    assert done.return_value == 1
    assert json.loads(done.output)["matches"] == []


def test_a_request_may_come_through_a_pipe() -> None:
    done = run(
        "source",
        "identify",
        "--delivery-file",
        "-",
        "--secret-env",
        "S",
        input='{"headers": {"X-Gitlab-Token": "hush"}, "body": ""}',
        env={"S": "hush"},
    )
    assert "It fits" in done.output


def test_without_a_terminal_a_secret_must_be_named(tmp_path: Path) -> None:
    done = run("source", "identify", "--delivery-file", request_file(tmp_path))
    assert (done.exit_code, "--secret-env" in done.output) == (2, True)


def test_a_file_that_is_not_there_is_told() -> None:
    done = run(
        "source", "identify", "--delivery-file", "nowhere", "--secret-env", "S", env={"S": "x"}
    )
    assert isinstance(done.exception, HookwrightError)
    assert "nowhere cannot be read" in done.exception.message


@pytest.mark.parametrize("arguments", [(), ("a", "--all")])
def test_connection_test_needs_a_name_or_all(arguments: tuple[str, ...]) -> None:
    done = run("connection", "test", *arguments, "--url", "http://127.0.0.1:9", "--token", "hw_x")
    assert (done.exit_code, "--all" in done.output) == (2, True)


@pytest.mark.parametrize(
    "command",
    [
        ("source", "show"),
        ("source", "identify"),
        ("connection", "list"),
        ("connection", "test"),
        ("vendor", "list"),
        ("vendor", "show"),
        ("workflow", "actions"),
    ],
)
def test_they_explain_themselves_with_an_example(command: tuple[str, ...]) -> None:
    said = printed(*command, "--help")
    assert f"hookwright {' '.join(command)}" in " ".join(said.partition("Example: ")[2].split())


def _commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


def test_the_examples_of_all_commands_can_be_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they are longer than the terminal is wide."""
    monkeypatch.setenv("COLUMNS", "60")
    found = {path: command.epilog for path, command in _commands(hookwright) if command.epilog}
    assert len(found) > 40
    for path, epilog in found.items():
        said = [line.strip() for line in printed(*path, "--help").splitlines()]
        for line in epilog.replace("\b", "").split("\n"):
            assert line.strip() in said, path
