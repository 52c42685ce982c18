"""`hookwright verify` and `audit`, as somebody at a terminal and a program meet them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.db import Database
from tests.integration.cli.conftest import Shell
from tests.integration.engine.installation import KEYS
from tests.integration.sealing.sealed_house import SealedHouse


@pytest.fixture
def sealed(shell: Shell) -> Iterator[SealedHouse]:
    """A migrated installation in the shell's folder with nine sealed deliveries."""
    shell.environment["HOOKWRIGHT_SECRET_KEYS"] = ",".join(KEYS)
    shell.run("migrate")
    data_dir = shell.folder / ".hookwright"
    database = Database(f"sqlite:///{data_dir / 'hookwright.db'}")
    house = SealedHouse(database, data_dir=data_dir)
    house.receive(9)
    house.seal()
    yield house
    database.dispose()


def test_what_is_whole_and_what_was_altered(shell: Shell, sealed: SealedHouse) -> None:
    said = shell.run("verify")
    assert "deliveries: 9 as they were sealed, 0 not sealed yet" in said
    assert "nothing is wrong" in said
    told = json.loads(shell.run("verify", "--json"))
    assert (told["good"], told["findings"]) == (True, [])
    assert told["newest_seal"] in said
    assert len(told["key_ids"]) == 1
    id_ = sealed.look_at("SELECT id FROM deliveries ORDER BY id LIMIT 1")
    sealed.tamper("UPDATE deliveries SET body = :v WHERE id = :id", v=b"{}", id=id_)
    said = shell.run("verify", code=1)
    assert "altered" in said.splitlines()[0]
    assert "from robot of 2026-11-01" in said
    assert "wrong: 1 altered" in said
    told = json.loads(shell.run("verify", "--json", "--table", "deliveries", code=1))
    (finding,) = told["findings"]
    assert (finding["what"], finding["source"], finding["seal"]) == ("altered", "robot", 1)
    assert finding["id"].replace("-", "") == id_
    assert told["tables"]["deliveries"]["sealed"] == 9
    assert "audit_events" not in told["tables"]
    assert "nothing is wrong" in shell.run("verify", "--table", "audit_events")
    assert "nothing is wrong" in shell.run("verify", "--since", "2026-11-02")


def test_what_was_written_down_elsewhere_is_asked_for(shell: Shell, sealed: SealedHouse) -> None:
    newest = json.loads(shell.run("verify", "--json"))["newest_seal"]
    (key,) = json.loads(shell.run("verify", "--show-key", "--json"))
    assert key["public"] in shell.run("verify", "--show-key")
    pinned = ("--expect", newest, "--public-key", key["public"])
    shell.run("verify", *pinned)
    (sealed.settings.data_dir / "seal.head").unlink()
    for table in ("seals", "sealing_keys", "deliveries"):
        sealed.tamper(f"DELETE FROM {table}")  # noqa: S608  # above
    sealed.receive(2)
    sealed.seal()
    shell.run("verify")
    assert "the chain does not hold it" in shell.run("verify", "--expect", newest, code=1)
    said = shell.run("verify", "--public-key", key["public"], code=1)
    assert "for which none before it vouches" in said


def test_where_it_was_seen_nobody_has_to_write_it_down(shell: Shell, sealed: SealedHouse) -> None:
    sealed.tamper("DELETE FROM seals")
    sealed.tamper("DELETE FROM sealing_keys")
    sealed.tamper("DELETE FROM deliveries")
    assert "seal 1 is expected" in shell.run("verify", code=1)


@pytest.mark.parametrize(
    "wrong", [("--expect", "1:zz"), ("--expect", "3"), ("--public-key", "1"), ("--since", "x")]
)
def test_what_is_no_seal_and_no_key_is_told(
    shell: Shell, sealed: SealedHouse, wrong: tuple[str, str]
) -> None:
    del sealed
    assert "is no" in shell.run("verify", *wrong, code=2)


def test_a_database_that_is_not_there_is_not_made(shell: Shell) -> None:
    assert "hookwright.db is not there" in shell.run("verify", code=1)
    assert not (shell.folder / ".hookwright" / "hookwright.db").exists()


def test_one_byte_of_the_file_itself_is_enough(shell: Shell, sealed: SealedHouse) -> None:
    body = sealed.look_at("SELECT body FROM deliveries ORDER BY id LIMIT 1 OFFSET 4")
    sealed.database.dispose()  # who closes it last brings everything into the file
    file = Path(str(sealed.database.url.database))
    kept = file.read_bytes()
    place = kept.index(body) + 100
    file.write_bytes(kept[:place] + bytes([kept[place] ^ 1]) + kept[place + 1 :])
    assert "wrong: 1 altered" in shell.run("verify", code=1)


def test_the_key_is_changed_and_tokens_are_noted(shell: Shell, sealed: SealedHouse) -> None:
    first = json.loads(shell.run("verify", "--show-key", "--json"))[0]
    shell.run("audit", "change-key")
    shell.run("token", "create", "--label", "ci")
    shell.run("token", "revoke", "ci")
    sealed.receive(1)
    sealed.seal()
    shell.run("verify", "--public-key", first["public"])
    keys = json.loads(shell.run("verify", "--show-key", "--json"))
    assert [key["until"] is None for key in keys] == [False, True]
    query = "SELECT group_concat(action || ' ' || \"by\", '|') FROM audit_events"
    actions = sealed.look_at(query).split("|")
    assert [action.split(" ", 1)[0] for action in actions] == [
        "sealing_key.change",
        "token.create",
        "token.revoke",
    ]
    assert all("command line: " in action for action in actions)


def test_a_lost_key_is_replaced(shell: Shell, sealed: SealedHouse) -> None:
    assert "it is not lost" in shell.run("audit", "change-key", "--lost", code=1)
    shell.environment["HOOKWRIGHT_SECRET_KEYS"] = "another" * 6
    shell.run("audit", "change-key", code=1)
    shell.run("audit", "change-key", "--lost")
    assert "key_lost seal 2: the key was lost at" in shell.run("verify", code=1)
    keys = json.loads(shell.run("verify", "--show-key", "--json"))
    given = [part for key in keys for part in ("--public-key", key["public"])]
    assert "note: seal 2: the key was lost at" in shell.run("verify", *given)
    assert sealed.look_at("SELECT action FROM audit_events") == "sealing_key.lost"


def test_audit_events_are_listed(running: Shell) -> None:
    said = running.run("audit", "list", "--action", "source.*")
    assert "command line: " in said
    assert "source.create" in said
    assert "  from file" in said
    told = json.loads(running.run("audit", "list", "--since", "1h", "--limit", "1", "--json"))
    assert len(told) == 1
