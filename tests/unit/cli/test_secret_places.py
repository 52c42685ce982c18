"""A guide tells where this source has its secret, as far as that can be known."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli.secret_places import with_own_places
from service.vendors import BY_NAME

HOOKS = "http://127.0.0.1:8080/hooks/"


def steps_of(vendor: str, source: str, *, signed: bool = True, token: str = "") -> str:
    url = f"{HOOKS}{source}{token}"
    return " ".join(with_own_places(BY_NAME[vendor], source, url, signed=signed).guide.incoming)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{file: secrets/one}", "Put it into the file secrets/one."),
        ("{env: MINE}", "Put it into the variable MINE."),
        ("{value: s3cret}", "Put it into the secret of `shots` in hookwright.yaml."),
        (None, "Put it into the secret of `shots` in hookwright.yaml."),
    ],
)
def test_the_steps_name_where_the_secret_of_this_source_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if written is not None:
        source = f"{{name: shots, vendor: vibeview, secrets: [{written}]}}"
        (tmp_path / "hookwright.yaml").write_text(f"sources: [{source}]\n")
    steps = steps_of("vibeview", "shots")
    assert told in steps
    assert "VIBEVIEW_WEBHOOK_SECRET" not in steps
    assert "s3cret" not in steps


@pytest.mark.parametrize("vendor", [name for name, one in BY_NAME.items() if one.incoming])
def test_no_vendor_leaves_the_variable_of_its_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = steps_of(vendor, "mine")
    assert "_SECRET" not in steps
    assert "PATH_TOKEN" not in steps


@pytest.mark.parametrize("vendor", ["generic", "cloudevents"])
def test_a_sender_that_signs_nothing_is_told_its_whole_address_and_of_no_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = f"{{name: printer, vendor: {vendor}, path_token: {{env: MINE}}}}"
    (tmp_path / "hookwright.yaml").write_text(f"sources: [{source}]\n")
    steps = steps_of(vendor, "printer", signed=False, token="/TOKEN")
    assert f"the address {HOOKS}printer/TOKEN." in steps
    assert "Instead of TOKEN write what is in the variable MINE." in steps
    assert "sign" not in steps
    assert "Authorization" not in steps


def test_steps_that_speak_of_the_path_token_get_the_address_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = steps_of("checkview", "views", signed=False, token="/TOKEN")
    assert f"enter {HOOKS}views with a slash and the path token at its end" in steps
    assert "the path_token of `views` in hookwright.yaml" in steps
