"""When the door may open before the configuration is applied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.clock import utc_now
from schemas.config import SecretReference, SourceConfig
from service.configuration_sources import DeclaredSource
from service.db import Database
from service.opening import may_open, remember, secrets_elsewhere
from service.queue import DramatiqQueue, make_broker
from service.settings import Settings
from service.store.sources import bump_sources_mark
from service.unit_of_work import unit_of_work

QUEUE = DramatiqQueue(make_broker(None))
CONFIGURATION = "sources: []\n"
SOURCES = (
    DeclaredSource(
        SourceConfig(
            name="one",
            vendor="generic",
            secrets=(SecretReference(env="A_SECRET"), SecretReference(value="in the file")),
        ),
        ("one", "in the file"),
        None,
    ),
    DeclaredSource(
        SourceConfig(name="two", vendor="generic", path_token=SecretReference(file="secret")),
        (),
        "two",
    ),
)


class Place:
    """A configuration as it was when it was applied."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.settings = Settings(config=folder / "hookwright.yaml", secret_keys=("k" * 40,))
        self.environment = {"A_SECRET": "one", "OTHER": "x"}
        self.settings.config.write_text(CONFIGURATION)
        (folder / "secret").write_text("two\n")

    def remember(self) -> None:
        with unit_of_work(self.database, QUEUE) as work:
            secrets = secrets_elsewhere(SOURCES)
            remember(work.session, self.settings, CONFIGURATION, secrets, now=utc_now())

    def change_sources(self) -> None:
        with unit_of_work(self.database, QUEUE) as work:
            bump_sources_mark(work.session)

    def may_open(self) -> bool:
        return may_open(self.database, self.settings, self.environment)


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Place:
    return Place(database, tmp_path)


def test_it_may_open_once_the_same_was_applied(place: Place) -> None:
    assert not place.may_open()
    place.remember()
    assert place.may_open()
    place.environment["OTHER"] = "y"
    assert place.may_open()


CHANGES: dict[str, Callable[[Place], object]] = {
    "the file": lambda place: place.settings.config.write_text(CONFIGURATION + "# more\n"),
    "no file": lambda place: place.settings.config.unlink(),
    "a variable": lambda place: place.environment.update(A_SECRET="other"),
    "no variable": lambda place: place.environment.clear(),
    "a secret's file": lambda place: (place.folder / "secret").write_text("other"),
    "no secret's file": lambda place: (place.folder / "secret").unlink(),
    "the sources": lambda place: place.change_sources(),
    "the key": lambda place: setattr(
        place, "settings", place.settings.model_copy(update={"secret_keys": ("n" * 40,)})
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_it_may_not_when_anything_has_changed(place: Place, what: str) -> None:
    place.remember()
    CHANGES[what](place)
    assert not place.may_open()
