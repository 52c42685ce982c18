"""What `hookwright init` writes: a configuration that works at once, its secrets, the workflows."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from service import published_schemas
from service.errors import ConfigurationError
from service.published_schemas import with_schema_line
from service.vendors import VENDORS

CONFIGURATION = "hookwright.yaml"
SECRETS_FOLDER = "secrets"
SECRET_BYTES = 32
CONFIGURATION_SCHEMA = "hookwright.schema.json"
WORKFLOW_SCHEMA = "workflow.schema.json"
TESTS_SCHEMA = "workflow-test.schema.json"
SHIPPED_WORKFLOWS = "examples.workflows"


def write_first_configuration(folder: Path, data_dir: Path) -> list[Path]:
    """Write a configuration into a folder, its secrets into the data directory.

    A relative `data_dir` is below `folder`. Gives what was written. Raises ConfigurationError
    when there is a configuration already; secrets and workflows that exist are kept as they are.
    """
    configuration = folder / CONFIGURATION
    if configuration.exists():
        raise ConfigurationError(
            f"{configuration} exists already", hint="move it away, or give another folder"
        )
    (folder / "workflows").mkdir(parents=True, exist_ok=True)
    kept = folder / data_dir / SECRETS_FOLDER
    (folder / data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    kept.mkdir(mode=0o700, exist_ok=True)
    written = [*_write_secrets(kept), *_write_workflows(folder / "workflows")]
    template = (files("service") / "first_configuration.yaml").read_text(encoding="utf-8")
    text = template.replace("@SECRETS@", str(data_dir / SECRETS_FOLDER))
    configuration.write_text(with_schema_line(text, CONFIGURATION_SCHEMA), encoding="utf-8")
    return [configuration, *written, *_write_schemas(folder)]


def shipped_workflows() -> list[tuple[PurePosixPath, Traversable]]:
    """Give the workflows that come with Hookwright, their tests and their texts, by path."""
    return sorted(_files(files(SHIPPED_WORKFLOWS), PurePosixPath()), key=lambda found: found[0])


def _files(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _files(file, path / file.name)
        elif file.name.endswith((".yaml", ".jinja")):
            yield path / file.name, file


def _write_schemas(folder: Path) -> Iterator[Path]:
    """Write what editors complete and underline by."""
    for place, name in (
        (CONFIGURATION_SCHEMA, published_schemas.CONFIGURATION),
        (f"workflows/{WORKFLOW_SCHEMA}", published_schemas.WORKFLOW),
        (f"workflows/{TESTS_SCHEMA}", published_schemas.TESTS),
    ):
        path = folder / place
        if path.exists():
            continue
        path.write_text(published_schemas.schema_text(name), encoding="utf-8")
        yield path


def _write_secrets(folder: Path) -> Iterator[Path]:
    for vendor in VENDORS:
        path = folder / vendor.name
        if vendor.incoming is None or path.exists():
            continue
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_new_secret(vendor.name) + "\n")
        yield path


def _new_secret(vendor: str) -> str:
    if vendor == "generic":
        # Standard Webhooks 1.0.0: `whsec_` and the key in base64.
        return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return secrets.token_urlsafe(SECRET_BYTES)


def _write_workflows(folder: Path) -> Iterator[Path]:
    for name, file in shipped_workflows():
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            text = file.read_text(encoding="utf-8")
            if name.suffix == ".yaml":
                schema = TESTS_SCHEMA if name.name.endswith(".test.yaml") else WORKFLOW_SCHEMA
                text = with_schema_line(text, f"{'../' * (len(name.parts) - 1)}{schema}")
            path.write_text(text, encoding="utf-8")
            yield path
