"""A guide tells where this source has its secret, as far as that can be known."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli.secret_places import with_own_places
from service.vendors import BY_NAME


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
    steps = " ".join(with_own_places(BY_NAME["vibeview"], "shots").guide.incoming)
    assert told in steps
    assert "VIBEVIEW_WEBHOOK_SECRET" not in steps
    assert "s3cret" not in steps


@pytest.mark.parametrize("vendor", [name for name, one in BY_NAME.items() if one.incoming])
def test_no_vendor_leaves_the_variable_of_its_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = " ".join(with_own_places(BY_NAME[vendor], "mine").guide.incoming)
    assert "_SECRET" not in steps
    assert "PATH_TOKEN" not in steps
