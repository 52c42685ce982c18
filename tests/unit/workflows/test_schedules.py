"""Schedules: what is understood, what is refused with which words, and when the next moment is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.workflows.schedules import (
    LONGEST_CRON,
    Cron,
    ScheduleError,
    next_time,
    read_cron,
    read_timezone,
)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# With jumps of an hour, of half an hour (Lord Howe), at midnight (Santiago, Beirut), and of a day
# that never was (Apia, 2011-12-30).
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Pacific/Apia",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def due(cron: str, zone: str, after: str, count: int = 1) -> list[datetime]:
    """The next moments, each asked for with the one before."""
    return list(moments(read_cron(cron), read_timezone(zone), at(after), count))


def moments(cron: Cron, zone: ZoneInfo, after: datetime, count: int) -> Iterator[datetime]:
    for _ in range(count):
        after = next_time(cron, zone, after)
        yield after


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("0 7 * * mon-fri", "UTC", "2026-11-20T06:59:59Z", "2026-11-20T07:00Z"),
        ("0 7 * * mon-fri", "UTC", "2026-11-20T07:00Z", "2026-11-23T07:00Z"),
        ("0 7 * * mon-fri", "Europe/Berlin", "2026-11-20T06:30Z", "2026-11-23T06:00Z"),
        ("0 7 * * MON-FRI", "America/New_York", "2026-11-22T00:00Z", "2026-11-23T12:00Z"),
        ("0 7 * * *", "Europe/Berlin", "2026-07-01T00:00+09:00", "2026-07-01T07:00+02:00"),
        ("*/15 * * * *", "UTC", "2026-01-01T00:00:00.000001Z", "2026-01-01T00:15Z"),
        ("*/15 * * * *", "UTC", "2025-12-31T23:59:59.999999Z", "2026-01-01T00:00Z"),
        ("7-59/20 * * * *", "Asia/Kolkata", "2026-01-01T00:00Z", "2026-01-01T00:17Z"),
        ("0 0 1 jan *", "UTC", "2026-01-01T00:00Z", "2027-01-01T00:00Z"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", "2028-02-29T00:00Z"),
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00Z", "2104-02-29T00:00Z"),
        ("0 0 L * *", "UTC", "2026-02-01T00:00Z", "2026-02-28T00:00Z"),
        ("0 9 * * fri#2", "UTC", "2026-11-01T00:00Z", "2026-11-13T09:00Z"),
        ("0 9 * * 5L", "UTC", "2026-11-01T00:00Z", "2026-11-27T09:00Z"),
        ("0 0 * * 0", "UTC", "2026-11-20T00:00Z", "2026-11-22T00:00Z"),
        ("0 0 * * 7", "UTC", "2026-11-20T00:00Z", "2026-11-22T00:00Z"),
        # Both fields for days: one that fits is enough, unless one begins with a star.
        ("0 0 13 * fri", "UTC", "2026-11-01T00:00Z", "2026-11-06T00:00Z"),
        ("0 0 */2 * fri", "UTC", "2026-11-01T00:00Z", "2026-11-13T00:00Z"),
        ("  0   7\t* * *  ", "UTC", "2026-11-20T00:00Z", "2026-11-20T07:00Z"),
    ],
)
def test_the_next_moment(cron: str, zone: str, after: str, expected: str) -> None:
    [moment] = due(cron, zone, after)
    assert moment == at(expected)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Berlin, 2026-03-29: from 02:00 +01:00 to 03:00 +02:00.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-29T01:00Z", "03-30T00:30Z"]),
        ("0 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-29T01:00Z", "03-30T00:00Z"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-29T01:00Z", "03-30T01:00Z"]),
        ("30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["03-29T01:00Z", "03-29T01:30Z"]),
        ("*/20 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["03-29T01:00Z", "03-30T00:00Z"]),
        ("0 */2 * * *", "Europe/Berlin", "2026-03-28T23:30Z", ["03-29T01:00Z", "03-29T02:00Z"]),
        ("30 2 29 3 *", "Europe/Berlin", "2026-03-01T00:00Z", ["03-29T01:00Z"]),
        # New York, 2026-03-08: from 02:00 -05:00 to 03:00 -04:00.
        ("30 2 * * *", "America/New_York", "2026-03-08T00:00Z", ["03-08T07:00Z", "03-09T06:30Z"]),
        ("59 1 * * *", "America/New_York", "2026-03-08T00:00Z", ["03-08T06:59Z", "03-09T05:59Z"]),
        # At midnight: the day begins at 01:00.
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00Z", ["09-06T04:00Z", "09-07T03:00Z"]),
    ],
)
def test_a_time_the_clocks_jump_over_happens_at_the_jump_once(
    cron: str, zone: str, after: str, expected: list[str]
) -> None:
    assert due(cron, zone, after, len(expected)) == [at(f"2026-{moment}") for moment in expected]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Berlin, 2026-10-25: at 03:00 +02:00 back to 02:00 +01:00.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["10-25T00:30Z", "10-26T01:30Z"]),
        ("0 3 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["10-25T02:00Z", "10-26T02:00Z"]),
        ("0 */2 * * *", "Europe/Berlin", "2026-10-24T23:00Z", ["10-25T00:00Z", "10-25T03:00Z"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25T00:10Z", ["10-25T00:30Z", "10-26T01:00Z"]),
        # Asked for while the hour runs for the second time: it has happened already.
        ("45 2 * * *", "Europe/Berlin", "2026-10-25T01:10Z", ["10-26T01:45Z"]),
        # New York, 2026-11-01: at 02:00 -04:00 back to 01:00 -05:00.
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00Z", ["11-01T05:30Z", "11-02T06:30Z"]),
        ("0 2 * * *", "America/New_York", "2026-10-31T12:00Z", ["11-01T07:00Z", "11-02T07:00Z"]),
    ],
)
def test_a_time_that_comes_twice_happens_the_first_time(
    cron: str, zone: str, after: str, expected: list[str]
) -> None:
    assert due(cron, zone, after, len(expected)) == [at(f"2026-{moment}") for moment in expected]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("begin", ["2026-03-07T12:30Z", "2026-03-28T12:30Z", "2026-10-24T12:30Z"])
@pytest.mark.parametrize(("cron", "pace"), [("*/20 * * * *", 20), ("5 * * * *", 60)])
def test_what_is_for_every_hour_keeps_its_pace_when_the_clocks_change(
    zone: str, begin: str, cron: str, pace: int
) -> None:
    found = due(cron, zone, begin, 24 * 60 // pace)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=pace)}


minutes = st.frozensets(st.sampled_from([0, 1, 15, 29, 30, 45, 59]), min_size=1, max_size=3)
hours = st.none() | st.frozensets(st.integers(0, 23), min_size=1, max_size=4)


@given(
    minutes,
    hours,
    st.sampled_from(ZONES),
    st.sampled_from(
        (
            *("2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-10-25", "2026-11-01"),
            *("2011-12-30", "2026-10-04", "2026-06-15"),
        )
    ),
    st.integers(-24 * 60, 24 * 60),
)
@example(frozenset({30}), None, "Australia/Lord_Howe", "2026-10-04", -700)
@example(frozenset({15}), frozenset({12}), "Pacific/Apia", "2011-12-30", -800)
def test_the_next_moment_is_the_one_that_walking_minute_by_minute_finds(
    at_minutes: frozenset[int],
    at_hours: frozenset[int] | None,
    zone_name: str,
    day: str,
    minutes_off: int,
) -> None:
    zone = ZoneInfo(zone_name)
    after = at(f"{day}T00:00Z") + minutes_off * MINUTE
    hour_field = "*" if at_hours is None else ",".join(map(str, sorted(at_hours)))
    cron = read_cron(f"{','.join(map(str, sorted(at_minutes)))} {hour_field} * * *")

    def fits(clock: datetime) -> bool:
        return clock.minute in at_minutes and (at_hours is None or clock.hour in at_hours)

    def is_due(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        clock = local.replace(tzinfo=None)
        if fits(clock) and (at_hours is None or not local.fold):
            return True
        skipped = (moment - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
        missed = False
        while skipped < clock and at_hours is not None:
            missed = missed or fits(skipped)
            skipped += MINUTE
        return missed

    expected = after + MINUTE
    while not is_due(expected):
        expected += MINUTE
    assert next_time(cron, zone, after) == expected


fields = st.tuples(
    st.sampled_from(["*", "0", "*/7", "15,45", "59"]),
    st.sampled_from(["*", "0", "1-3", "*/5", "23"]),
    st.sampled_from(["*", "1", "31", "L", "*/10"]),
    st.sampled_from(["*", "3", "oct", "*/4"]),
    st.sampled_from(["*", "sun", "mon-fri", "fri#5"]),
)


@given(
    fields,
    st.sampled_from(ZONES),
    st.datetimes(datetime(2001, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timedeltas(timedelta(0), 2 * DAY),
)
def test_moments_come_after_in_order_and_on_the_minute(
    found: tuple[str, ...], zone_name: str, after: datetime, later: timedelta
) -> None:
    cron, zone = read_cron(" ".join(found)), ZoneInfo(zone_name)
    moment = next_time(cron, zone, after)
    assert moment > after
    assert moment.tzinfo is UTC
    assert (moment.second, moment.microsecond) == (0, 0)
    # Whoever asks later is told the same moment until it has come, and a later one from then on.
    again = next_time(cron, zone, after + later)
    assert again == moment if after + later < moment else again > moment


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "is no schedule", "write minute, hour"),
        (7, "is no schedule", "write minute, hour"),
        ("* " * LONGEST_CRON, "is no schedule", "write minute, hour"),
        ("0 7 * *", "has five fields (minute, hour, day of month", "such as `0 7 * * mon-fri`"),
        ("0 0 7 * * MON", "not 6", "there are no seconds; without them it is `0 7 * * MON`"),
        ("0 0 0 7 * * 2026", "not 7", "such as `0 7 * * mon-fri`"),
        ("@daily", "`@daily`", "write `0 0 * * *`"),
        ("@reboot", "`@reboot`", "write minute, hour"),
        ("CRON_TZ=Europe/Berlin 0 7 * * *", "`CRON_TZ=Europe/Berlin`", "as `timezone`"),
        ("60 * * * *", "`60` is no minute", "`*` or 0 to 59"),
        ("0 24 * * *", "`24` is no hour", "`*` or 0 to 23"),
        ("0 0 0 * *", "`0` is no day of month", "`*` or 1 to 31"),
        ("0 0 * 13 *", "`13` is no month", "1 to 12 or jan to dec"),
        ("0 0 * * 8", "`8` is no day of week", "0 to 7 or sun to sat"),
        ("*/0 * * * *", "`*/0` is no minute", "`*/2`"),
        ("0 7 * * mon-fry", "`mon-fry` is no day of week", "did you mean `fri`?"),
        ("0 7 * january *", "`january` is no month", "did you mean `jan`?"),
        ("0 22-6 * * *", "`22-6` is no hour", "`22-23,0-6`"),
        ("0 7 * * sat-sun", "`sat-sun` is no day of week", "`sat,sun`"),
        ("0 7 ? * *", "`?` is no day of month", "write `*`"),
        ("0 0 30 2 *", "no date has the day of month `30`, month `2`", "the last day of a month"),
        ("0 0 31 4,6,9,11 *", "no date has", "is `L`"),
    ],
)
def test_a_wrong_schedule_is_refused_with_what_to_write(
    text: object, message: str, hint: str
) -> None:
    with pytest.raises(ScheduleError) as caught:
        read_cron(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert str(caught.value) == f"{caught.value.message}; {caught.value.hint}"


@given(st.text(alphabet="0123456789*/,-# lLwW?sunmofeb@²\x00", max_size=30))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        cron = read_cron(text)
    except ScheduleError:
        return
    assert read_cron(cron.text) == cron
    after = at("2026-01-01T00:00Z")
    assert next_time(cron, ZoneInfo("Europe/Berlin"), after) > after


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Etc/GMT-2", "America/Indiana/Knox"])
def test_a_time_zone_is_known_by_its_name(name: str) -> None:
    assert read_timezone(name) == ZoneInfo(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "did you mean `Europe/Berlin`?"),
        ("europe/berlin", "did you mean `Europe/Berlin`?"),
        ("Berlin", "did you mean `Europe/Berlin`?"),
        ("New York", "did you mean `America/New_York`?"),
        ("utc", "did you mean `UTC`?"),
        ("+02:00", "an offset knows no daylight saving"),
        ("GMT+2", "an offset knows no daylight saving"),
        ("PST", "an abbreviation can mean several zones"),
        ("", "write a name such as Europe/Berlin"),
        (None, "write a name such as Europe/Berlin"),
        ("../../etc/passwd", "write a name such as Europe/Berlin"),
        ("Europe/\x00", "did you mean"),
    ],
)
def test_an_unknown_time_zone_is_refused_with_what_was_meant(name: object, hint: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        read_timezone(name)
    assert "is no time zone" in caught.value.message
    assert hint in caught.value.hint
