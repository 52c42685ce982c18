"""Where a configured secret comes from: a variable of the environment, a file, the text itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from schemas.config import SecretReference
from service.errors import ConfigurationError

MOST_BYTES = 64 * 1024


class SecretMissingError(ConfigurationError):
    """A secret that the configuration points to is not there."""


def resolve_secret(reference: SecretReference, folder: Path, environment: Mapping[str, str]) -> str:
    """Give the secret. Files are relative to `folder`; a line's end after it is left out.

    Raises SecretMissingError when it is absent or empty; the value itself is never in the message.
    """
    if reference.env is not None:
        value = environment.get(reference.env, "")
        if not value:
            raise SecretMissingError(
                f"the environment variable {reference.env} is not set",
                hint=f"export {reference.env}=… before starting",
            )
        return value
    if reference.file is not None:
        return _read(folder / reference.file)
    if not reference.value:
        raise SecretMissingError("the secret is empty")
    return reference.value


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            value = file.read(MOST_BYTES).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SecretMissingError(f"the secret file {path} cannot be read: {reason}") from error
    if not value:
        raise SecretMissingError(f"the secret file {path} is empty")
    return value
