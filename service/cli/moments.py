"""Times as people give them to commands: so long ago, or a date."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from schemas.clock import utc_now
from schemas.config import parse_duration


class Moment(click.ParamType[datetime]):
    """`24h` (so long ago) or a time such as 2026-11-22T08:00; without zone it is local time."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Give the time as aware; anything else is a wrong use."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            return datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError, OSError):
            pass
        try:
            ago = parse_duration(text)
            return utc_now() - ago if isinstance(ago, timedelta) else utc_now()
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is no time: write 24h, 7d or 2026-11-22T08:00", param, ctx)


MOMENT = Moment()
since_option = click.option(
    "--since", metavar="TIME", type=MOMENT, help="Only from this on: 24h, 7d, a time."
)
until_option = click.option("--until", metavar="TIME", type=MOMENT, help="Only before this.")
