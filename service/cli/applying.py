"""Applying the configuration file when a process starts, and saying what that changed."""

from __future__ import annotations

import structlog

from schemas.clock import utc_now
from service.apply import What, apply_configuration
from service.cli.machine import this_user
from service.configuration import read_configuration
from service.db import Database
from service.opening import remember
from service.queue import Queue
from service.retention_change import warn_of_archive
from service.secretbox import SecretBox
from service.settings import Effects, Settings, environment
from service.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)


def apply_at_start(settings: Settings, database: Database, queue: Queue) -> None:
    """Make the database say what the file declares. Raises ConfigurationError, Unavailable."""
    around = environment()
    declared = read_configuration(settings.config, around)
    changes = apply_configuration(
        declared,
        database=database,
        queue=queue,
        box=SecretBox(settings.required_secret_keys()),
        now=utc_now(),
        who=this_user(),
        shadow=settings.effects is Effects.SHADOW,
    )
    secrets = [
        reference
        for source in declared.sources
        for reference in (*source.config.secrets, source.config.path_token)
        if reference is not None
    ]
    with unit_of_work(database, queue) as work:
        remember(work.session, settings, secrets, around, now=utc_now())
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
