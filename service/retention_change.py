"""What it means to keep rows for another time than until now, in words for whoever applies it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

from schemas.config import Retention, write_duration
from service.archive import LET_IT_BE_WRITTEN, why_not_written
from service.retention_rules import archive_directory, kept
from service.settings import Settings

_UNSAID = {"events": "as long as deliveries", "effects": "365d, or as long as runs"}


def retention_in_words(retention: Retention) -> Mapping[str, str]:
    """Give by the name of each field what it says, as it is written in hookwright.yaml."""
    return {name: _in_words(name, retention) for name in Retention.model_fields}


def _in_words(name: str, retention: Retention) -> str:
    if name == "archive":
        return "off" if retention.archive_directory is None else f"in {retention.archive_directory}"
    value: timedelta | None = getattr(retention, name)
    return _UNSAID[name] if value is None else write_duration(value)


def removals(before: Retention, after: Retention) -> tuple[str, ...]:
    """Give a sentence for rows that are kept for a shorter time from now on."""
    earlier, later = kept(before), kept(after)
    shorter: dict[timedelta, list[str]] = defaultdict(list)
    for name, time in later.items():
        if time < earlier[name]:
            shorter[time].append(name.replace("_", " "))
    end = "" if after.archive_directory is None else ", once they are archived"
    return tuple(
        f"{', '.join(names)} older than {write_duration(time)} will be removed{end}"
        for time, names in shorter.items()
    )


def warn_of_archive(retention: Retention, settings: Settings) -> str | None:
    """Give a sentence when removed rows are to be archived where this machine cannot write."""
    directory = archive_directory(retention, settings)
    fault = None if directory is None else why_not_written(directory)
    if fault is None:
        return None
    return f"the archive {directory} cannot be written here: {fault}; {LET_IT_BE_WRITTEN}"
