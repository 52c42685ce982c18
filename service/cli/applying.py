"""Applying the configuration file when a process starts, and saying what that changed."""

from __future__ import annotations

from pathlib import Path

import structlog

from schemas.clock import utc_now
from service.apply import What, apply_configuration
from service.cli.machine import this_user
from service.configuration import read_configuration
from service.db import Database
from service.opening import remember, secrets_elsewhere
from service.queue import Queue
from service.retention_change import warn_of_archive
from service.secretbox import SecretBox
from service.settings import Effects, Settings, environment

log = structlog.get_logger(__name__)


def apply_at_start(settings: Settings, database: Database, queue: Queue) -> None:
    """Make the database say what the file declares. Raises ConfigurationError, Unavailable."""
    # Before it is read: should it change meanwhile, the next start finds another one than this.
    text = _text_of(settings.config)
    declared = read_configuration(settings.config, environment())
    secrets = secrets_elsewhere(declared.sources)
    now = utc_now()
    changes = apply_configuration(
        declared,
        database=database,
        queue=queue,
        box=SecretBox(settings.required_secret_keys()),
        now=now,
        who=this_user(),
        shadow=settings.effects is Effects.SHADOW,
        also=lambda session: remember(session, settings, text, secrets, now=now),
    )
    for sentence in changes.untied:
        log.warning("source_tied_to_no_connection", problem=sentence)
    for sentence in changes.missing:
        log.warning("connection_missing", problem=sentence)
    unwritten = warn_of_archive(declared.retention, settings)
    if unwritten:
        log.warning("archive_not_written", problem=unwritten)
    log.info(
        "configuration_applied",
        file=str(settings.config),
        **{what.value: changes.count(what) for what in What if changes.count(what)},
    )


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""  # reading it as a configuration says what is wrong
