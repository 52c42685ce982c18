"""When a schedule is due: five cron fields read in a time zone.

The `cronsim` library reads the fields and walks the calendar. It does so on clock times without a
zone here; what daylight saving does to them is decided in this module, alike for every schedule:

- a clock time that is left out that day happens at the moment the clocks jump. Several that are
  left out happen together, once;
- a clock time that comes twice happens the first time only;
- a schedule for every hour of the day (`*/15 * * * *`) names no time of day. It follows the clock
  through every hour that passes: nothing is made up for, and the hour that comes twice is served
  twice, so that its pace does not change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from service.workflows.findings import did_you_mean

LONGEST_CRON = 200
"""Characters of the five fields."""
_EXAMPLE = "such as `0 7 * * mon-fri`"
_LISTED = "minute, hour, day of month, month and day of week"
_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001  # clock times have no zone until they are placed
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class ScheduleError(ValueError):
    """A schedule or a time zone cannot be read; `hint` says what to write instead."""

    def __init__(self, message: str, hint: str) -> None:
        """Keep the sentence and the hint apart; as a text the error is both."""
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule that was read. Build it with `read_cron`.

    `is_even`: it is for every hour of the day, so it goes by hours that pass, not by times of day.
    """

    text: str
    is_even: bool


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five: what it is called, its least and its greatest value, its names."""

    name: str
    least: str
    greatest: str
    names: tuple[str, ...] = ()

    def values(self) -> str:
        named = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"it is `*` or {self.least} to {self.greatest}{named}, as in `1,5`, `1-5` or `*/2`"

    def place(self, value: str) -> int:
        """Give a value's place in the order of the field's values."""
        if value in self.names:
            return int(self.least) + self.names.index(value)
        return int(value)


_FIELDS = (
    _Field("minute", "0", "59"),
    _Field("hour", "0", "23"),
    _Field("day of month", "1", "31"),
    _Field("month", "1", "12", _MONTHS),
    _Field("day of week", "0", "7", _WEEKDAYS),
)


def read_cron(text: object) -> Cron:
    """Read minute, hour, day of month, month and day of week. Raises ScheduleError.

    Names of months and days are understood in any case; 0 and 7 are Sunday, `L` is the last day of
    a month, `fri#2` its second Friday, `5L` its last. Where neither field for days begins with `*`,
    a day that fits one of them is enough, as cron has it.
    """
    if not isinstance(text, str) or len(text) > LONGEST_CRON or not text.strip():
        shown = repr(text)[:40]
        raise ScheduleError(f"{shown} is no schedule", f"write {_LISTED}, {_EXAMPLE}")
    if len(text.split()) != len(_FIELDS):
        raise _wrong_number(text.split())
    fields = text.lower().split()
    for at, field in enumerate(fields):
        alone = ["*"] * len(fields)
        alone[at] = field
        try:
            CronSim(" ".join(alone), _ANY_TIME)
        except CronSimError as error:
            raise _wrong_field(_FIELDS[at], field) from error
    cron = " ".join(fields)
    try:
        clock = CronSim(cron, _ANY_TIME)
        next(clock)
    except (CronSimError, StopIteration) as error:
        raise _no_such_date(fields) from error
    return Cron(cron, is_even=len(clock.hours) == 24)  # noqa: PLR2004  # the hours of a day


def read_timezone(name: object) -> ZoneInfo:
    """Give the zone of an IANA name such as Europe/Berlin. Raises ScheduleError."""
    if isinstance(name, str) and name in _zones():
        return ZoneInfo(name)
    shown = repr(name)[:80]
    raise ScheduleError(f"{shown} is no time zone", _zone_hint(name))


def next_time(cron: Cron, zone: ZoneInfo, after: datetime) -> datetime:
    """Give the first moment, in UTC, after the given one at which the schedule is due."""
    after = after.astimezone(UTC)
    local = after.astimezone(zone)
    # Clocks that will be set back show these times once more, though they show them already.
    shown_again = _offset(after, zone) - _offset(after + _DAY, zone)
    begin = local.replace(tzinfo=None, fold=0) - max(shown_again, timedelta(0))
    repeated: datetime | None = None
    for clock in CronSim(cron.text, begin):
        first, second = _moments(clock, zone, is_even=cron.is_even)
        if second is not None and second > after and repeated is None:
            repeated = second
        if first is not None and first > after:
            return first if repeated is None else min(first, repeated)
    raise _no_such_date(cron.text.split())


def _moments(
    clock: datetime, zone: ZoneInfo, *, is_even: bool
) -> tuple[datetime | None, datetime | None]:
    """Give the moments at which a clock time happens: the first and, if it counts, the second."""
    first = clock.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = clock.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first > second:  # the clocks jump over it (PEP 495, "The fold attribute")
        return (None if is_even else _jump(clock, zone)), None
    return first, (second if is_even and second > first else None)


def _jump(clock: datetime, zone: ZoneInfo) -> datetime:
    """Give the moment of the jump that leaves this clock time out."""
    while True:
        moment = clock.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == clock:
            return moment
        clock += _MINUTE


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _wrong_number(fields: list[str]) -> ScheduleError:
    text = " ".join(fields)
    first = fields[0].lower()
    if first.startswith("@"):
        known = _NICKNAMES.get(first)
        hint = f"write `{known}`" if known else f"write {_LISTED}, {_EXAMPLE}"
        return ScheduleError(f"`{text}` is no schedule here", hint)
    if first.startswith(("tz=", "cron_tz=")):
        message = f"`{fields[0]}` is not read here"
        return ScheduleError(message, "write the zone beside the schedule, as `timezone`")
    message = f"a schedule has five fields ({_LISTED}), not {len(fields)}: `{text}`"
    if len(fields) == len(_FIELDS) + 1:
        hint = f"there are no seconds; without them it is `{' '.join(fields[1:])}`"
        return ScheduleError(message, hint)
    return ScheduleError(message, _EXAMPLE)


def _wrong_field(field: _Field, text: str) -> ScheduleError:
    message = f"`{text}` is no {field.name}"
    if "?" in text:
        return ScheduleError(message, "`?` is of another kind of cron; write `*`")
    for part in text.split(","):
        words = [word for word in re.findall(r"[a-z]+", part) if word not in field.names]
        if words and field.names:
            return ScheduleError(message, did_you_mean(words[0], field.names) or field.values())
        if hint := _turned_round(field, part):
            return ScheduleError(message, hint)
    return ScheduleError(message, field.values())


def _turned_round(field: _Field, part: str) -> str | None:
    """Say how a range that goes over the end, such as `22-6`, is written."""
    begin, dash, end = part.partition("-")
    try:
        turned = bool(dash) and field.place(begin) > field.place(end)
        fits = all(
            int(field.least) <= field.place(side) <= int(field.greatest) for side in (begin, end)
        )
    except ValueError:
        return None
    if not turned or not fits:
        return None
    named = bool(field.names) and not begin.isdigit()
    least, greatest = (field.names[0], field.names[-1]) if named else (field.least, field.greatest)
    parts = [
        one if one == other else f"{one}-{other}"
        for one, other in ((begin, greatest), (least, end))
    ]
    return f"a range goes upwards; over its end it is written `{','.join(parts)}`"


def _no_such_date(fields: list[str]) -> ScheduleError:
    _, _, day, month, weekday = fields
    message = f"no date has the day of month `{day}`, month `{month}` and day of week `{weekday}`"
    return ScheduleError(message, "the last day of a month is `L`")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone_hint(name: object) -> str:
    example = "write a name such as Europe/Berlin or UTC"
    if not isinstance(name, str) or not name.strip():
        return example
    if re.search(r"[+-]\d", name):
        return f"an offset knows no daylight saving; {example}"
    wanted = name.strip().casefold().replace(" ", "_")
    folded = {zone.casefold(): zone for zone in sorted(_zones())}
    meant = folded.get(wanted) or next(
        (zone for key, zone in folded.items() if key.rpartition("/")[2] == wanted), None
    )
    if meant is not None:
        return f"did you mean `{meant}`?"
    if "/" not in name and len(name) <= 5:  # noqa: PLR2004  # PST, CEST, AEST
        return f"an abbreviation can mean several zones; {example}"
    near = did_you_mean(name, _zones())
    return near if near and near.startswith("did you mean") else example
