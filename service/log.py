"""Logging: one line an occurrence, for people at a terminal and as JSON everywhere else.

Lives here: how lines are made and struck clean. What counts as a secret stands in `redaction.py`.
The libraries' own lines (uvicorn, dramatiq, alembic) take the same way, so that a log has one form.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TextIO

import structlog
from structlog.types import Processor

from service.redaction import redact, redact_fields
from service.settings import Settings

# These say at `info` what our own lines say better, or say it for every request.
QUIET_LIBRARIES = {
    "alembic": logging.WARNING,
    "dramatiq": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
    "uvicorn.error": logging.WARNING,
}

WITH_HEADERS = frozenset({"httpcore", "httpx"})
"""At `debug` these print headers, which hold credentials and what vendors repeat of them."""

LEAST_EVENT_WIDTH = 22
"""In the text form, the columns an event's name takes at least."""

QUEUE_SILENCE_S = 60.0
"""While the queue is away, it is said once in this time."""


class QueueAway(logging.Filter):
    """Says once, in our words, what every consumer of dramatiq cries out every few seconds.

    A queue that is away is no emergency: it only wakes workers, who look by themselves too.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._silent_until = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass but the errors of dramatiq's consumers."""
        if not record.name.startswith("dramatiq.") or "Consumer encountered a conn" not in str(
            record.msg
        ):
            return True
        with self._lock:
            now = self._monotonic()
            if now < self._silent_until:
                return False
            self._silent_until = now + QUEUE_SILENCE_S
        structlog.get_logger(__name__).warning(
            "queue_away",
            error=str(record.args[0]) if isinstance(record.args, tuple) and record.args else None,
            consequence="work goes on, some seconds late; it is asked for again by itself",
            to_do="is Redis running, and is HOOKWRIGHT_REDIS_URL right?",
        )
        return False


def configure_logging(
    settings: Settings,
    *,
    stream: TextIO | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Send every line of this process to `stream` (default: standard error) in the chosen form."""
    target = stream or sys.stderr
    level = getattr(logging, settings.log_level.upper())
    as_text = (settings.log_format or ("console" if target.isatty() else "json")) == "console"
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.addFilter(QueueAway(monotonic))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(as_text=as_text, colours=target.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in QUIET_LIBRARIES.items():
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        heard = level <= logging.DEBUG and name not in WITH_HEADERS
        library.setLevel(level if heard else max(level, least))


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Put these fields (request, delivery, event, run or job ids) on every line of the block."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def strike_secrets(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Strike secrets out of a line's fields: by name, and by what secrets look like."""
    kept = {name: line.pop(name) for name in tuple(line) if name.startswith("_") or name in _OURS}
    clean: MutableMapping[str, Any] = {**redact_fields(line), **kept}
    for name in ("event", "exception"):
        if isinstance(clean.get(name), str):
            clean[name] = redact(clean[name])
    return clean


_OURS = frozenset({"event", "exception", "exc_info", "level", "logger", "time"})


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


def _shorten_for_people(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    # Who sits before it knows the day; which module spoke is for programs.
    local = datetime.fromisoformat(line["time"]).astimezone()
    line["time"] = local.strftime("%H:%M:%S")
    line.pop("logger", None)
    return line


def _rendering(*, as_text: bool, colours: bool) -> list[Processor]:
    exceptions: list[Processor] = [structlog.processors.format_exc_info, strike_secrets]
    if as_text:
        renderer = structlog.dev.ConsoleRenderer(
            colors=colours, timestamp_key="time", pad_event_to=LEAST_EVENT_WIDTH
        )
        return [*exceptions, _shorten_for_people, renderer]
    return [*exceptions, structlog.processors.JSONRenderer(default=str)]
