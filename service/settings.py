"""The environment, read here and nowhere else (contract §3)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.plain_words import in_plain_words
from service.errors import ConfigurationError

SECRET_KEY_FILE = "secret.key"  # noqa: S105  # a file's name
MINIMUM_KEY_CHARACTERS = 32
PREFIX = "HOOKWRIGHT_"
TESTS_PREFIX = "HOOKWRIGHT_TEST_"


class Effects(StrEnum):
    """Whether calls that change something outside are made."""

    LIVE = "live"
    SHADOW = "shadow"


class Settings(BaseSettings):
    """What the environment says, checked. Immutable after the start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    database_url: str | None = None
    redis_url: str | None = None
    redis_namespace: str = "hookwright"
    data_dir: Path = Path(".hookwright")
    config: Path = Path("hookwright.yaml")
    secret_keys: Annotated[tuple[str, ...], NoDecode] = ()
    admin_token: str | None = Field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str | None = None
    effects: Effects = Effects.LIVE
    log_format: Literal["console", "json"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    allow_private_addresses: str = "false"
    url: str | None = None
    token: str | None = Field(default=None, repr=False)
    worker_threads: int = Field(default=8, ge=1, le=256)
    shutdown_seconds: float = Field(default=25, gt=0)

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("secret_keys")
    @classmethod
    def _refuse_weak_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(key) < MINIMUM_KEY_CHARACTERS for key in value):
            message = f"every key needs at least {MINIMUM_KEY_CHARACTERS} characters"
            raise ValueError(message)
        return value

    @field_validator("allow_private_addresses")
    @classmethod
    def _check_networks(cls, value: str) -> str:
        _networks(value)
        return value

    @property
    def effective_database_url(self) -> str:
        """The database to use: the named one, or the SQLite file in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'hookwright.db'}"

    @property
    def private_addresses(self) -> bool | tuple[IPv4Network | IPv6Network, ...]:
        """Which private addresses may be called: none, all, or those of some networks."""
        return _networks(self.allow_private_addresses)

    @property
    def server_url(self) -> str:
        """Where commands find the server: named, public, or the local address."""
        return (self.url or f"http://{self.host}:{self.port}").rstrip("/")

    def required_secret_keys(self) -> tuple[str, ...]:
        """Give the secret keys. Raises ConfigurationError when there are none."""
        keys = self.secret_keys or self._kept_keys()
        if not keys:
            raise ConfigurationError(
                "HOOKWRIGHT_SECRET_KEYS is not set",
                hint="set it to a long random text (openssl rand -base64 32), the same in every "
                "process; `hookwright up` makes one by itself and keeps it in the data directory",
            )
        return keys

    def with_generated_keys(self) -> Settings:
        """Give these settings with a secret key, made and kept in the data directory if needed."""
        self.make_data_dir()
        keys = self.secret_keys or self._kept_keys()
        if not keys:
            path = self.data_dir / SECRET_KEY_FILE
            with writing_into(self.data_dir):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(secrets.token_urlsafe(48) + "\n")
            keys = self._kept_keys()
        return self.model_copy(update={"secret_keys": keys})

    def make_data_dir(self) -> None:
        """Create the data directory for its owner alone.

        Raises ConfigurationError when it cannot be made or written.
        """
        with writing_into(self.data_dir):
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _kept_keys(self) -> tuple[str, ...]:
        path = self.data_dir / SECRET_KEY_FILE
        try:
            return tuple(path.read_text(encoding="utf-8").split())
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the secret key in {path} cannot be read: {error}",
                hint="it must be readable by whoever runs Hookwright; "
                "or set HOOKWRIGHT_SECRET_KEYS",
            ) from error


@contextmanager
def writing_into(data_dir: Path) -> Iterator[None]:
    """Raise ConfigurationError for what the data directory refuses in the block."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"the data directory {data_dir} cannot be written: {error.strerror or error}",
            hint="set HOOKWRIGHT_DATA_DIR to a directory that you may write",
        ) from error


def _networks(value: str) -> bool | tuple[IPv4Network | IPv6Network, ...]:
    text = value.strip().lower()
    if text in {"", "false", "no", "0", "off"}:
        return False
    if text in {"true", "yes", "1", "on"}:
        return True
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(","))


def load_settings() -> Settings:
    """Read the environment. Raises ConfigurationError naming every variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(
            f"the environment is not usable: {'; '.join(_faults(error).values())}",
            hint="docs/configuration.md lists every variable with its form and default",
        ) from error


def load_usable_settings() -> tuple[Settings, Mapping[str, str]]:
    """Read what is good in the environment, and the defaults of what is not.

    Gives with it, by the names of the settings, what is wrong: for looking at an installation,
    never for running one.
    """
    try:
        return Settings(), {}
    except ValidationError as error:
        faults = _faults(error)
    defaults = {name: Settings.model_fields[name].get_default() for name in faults}
    return Settings(**defaults), faults


def _faults(error: ValidationError) -> Mapping[str, str]:
    """Give by the name of each wrong setting which variable it is and what is wrong with it."""
    return {
        str(fault["loc"][0]): f"{PREFIX}{str(fault['loc'][0]).upper()}: {in_plain_words(fault)}"
        for fault in error.errors(include_url=False, include_input=False)
    }


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Give a sentence for every variable that looks like one of ours and is none."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    told = []
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name.startswith(TESTS_PREFIX) or name in known:
            continue
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        meant = f"; did you mean {near[0]}?" if near else ""
        told.append(f"the variable {name} is not known and is passed over{meant}")
    return told


def environment() -> Mapping[str, str]:
    """Give the environment for resolving `{env: NAME}` in configuration files."""
    return os.environ
