"""What `list` and `show` print of a served installation; the commands run in this process."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from service.cli.main import hookwright
from tests.integration.api.conftest import (
    Installation,
    make_delivery,
    make_event,
    make_rejection,
    make_run,
    make_source,
    make_workflow,
)


def printed(face: Installation, *arguments: str) -> str:
    url = str(face.client.base_url).removesuffix("/api/v1/")
    asked = [*arguments, "--url", url, "--token", face.token]
    done = CliRunner().invoke(hookwright, asked)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_without_an_id_the_newest_is_shown(face: Installation) -> None:
    workflow, version = make_workflow()
    face.save(workflow, version)
    newest: dict[str, str] = {}
    for key in ("older", "newer"):
        event = make_event(key)
        rows: dict[str, Any] = {
            "delivery": make_delivery(key),
            "event": event,
            "rejection": make_rejection(),
            "run": make_run(event, version),
        }
        face.save(*rows.values())
        newest = {kind: str(row.id) for kind, row in rows.items()}
    for kind, ident in newest.items():
        assert f'"id": "{ident}"' in printed(face, kind, "show", "--json")


@pytest.mark.parametrize("kind", ["delivery", "event", "rejection", "run"])
def test_without_an_id_nothing_is_said_to_be_there_yet(face: Installation, kind: str) -> None:
    url = str(face.client.base_url).removesuffix("/api/v1/")
    done = CliRunner().invoke(hookwright, [kind, "show", "--url", url, "--token", face.token])
    assert str(done.exception) == f"there is no {kind} yet"


def test_events_of_one_source_are_listed(face: Installation) -> None:
    mine, other = make_event("one", source="mine"), make_event("two", source="other")
    face.save(mine, other)
    said = printed(face, "event", "list", "--source", "mine")
    assert str(mine.id) in said
    assert str(other.id) not in said


def test_that_a_list_goes_on_is_said_below_it(
    face: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "dumb-with-width"), ("COLUMNS", "200")):
        monkeypatch.setenv(name, value)
    face.save(*(make_event(f"event {number}") for number in range(3)))
    said = printed(face, "event", "list", "--limit", "2").splitlines()
    assert said[-1] == "there are more than these 2: --limit N"
    assert sum("test_run.failed" in line for line in said) == 2


def test_a_source_is_shown_with_the_address_that_is_to_be_typed_at_the_sender(
    face: Installation,
) -> None:
    face.save(make_source("printer", vendor="generic", options={"scheme": "none"}))
    address = "https://hooks.example/hooks/printer/TOKEN"
    assert f" {address} " in printed(face, "source", "list")
    said = printed(face, "source", "show", "printer")
    assert f"address     {address}\n" in said
    assert f"1. At the sender, add a webhook with the address {address}." in said
    assert "signing secret" not in said
    assert "reconcile   no: there is no record of Generic webhooks to compare with" in said
    face.save(make_source("github", vendor="github"))
    assert "reconcile   when asked, 1 d 0 h back" in printed(face, "source", "show", "github")
