"""Pages from templates: escaped by default, times as people say them, nothing from elsewhere."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from schemas.statistics import CountOut

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
LONGEST_VALUE = 8_000
"""Characters of one value on a page."""
ID_LENGTH = 18
"""Characters of an id that are shown: its time in milliseconds, and what is random after it."""
_CODE = re.compile(r"`([^`\n]+)`")
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_GOOD = frozenset({"succeeded", "made", "resolved", "ingested"})
_BAD = frozenset({"failed", "dead", "critical", "malformed"})
_OPEN = frozenset({"in_doubt", "waiting", "open", "warning", "unconfirmed", "acknowledged"})


def page(template: str, *, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """Give a page. `now` is among the values: times are told from there."""
    html = _environment().get_template(template).render(**values)
    return HTMLResponse(html, status_code=status, headers={"Content-Security-Policy": POLICY})


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ago=ago,
        took=took,
        moment=moment,
        number=number,
        pretty=pretty,
        pieces=pieces,
        tone=tone,
        beginning=beginning,
    )
    return environment


def ago(time: datetime, now: datetime) -> str:
    """Say how long ago something was: `3 minutes ago`."""
    return f"{_span(now - time)} ago" if now - time >= _MINUTE else "just now"


def took(began: datetime, ended: datetime | None) -> str:
    """Say how long something took, to the tenth of a second where it was short."""
    if ended is None:
        return ""
    span = ended - began
    return f"{span.total_seconds():.1f} s" if span < _MINUTE else _span(span)


def moment(time: datetime) -> str:
    """Write a time to the second, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def number(count: CountOut) -> str:
    """Write how many there are; an estimate says so."""
    return f"{'about ' if count.estimated else ''}{count.count:,}"


def pieces(text: str) -> list[str]:
    """Give a text in pieces of which every second one stood between backticks: it is code."""
    return _CODE.split(text)


def pretty(value: object) -> str:
    """Write JSON as people read it, as far as a page can hold it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) <= LONGEST_VALUE:
        return text
    left = len(text) - LONGEST_VALUE
    return f"{text[:LONGEST_VALUE]}\n… {left:,} more characters: hookwright run show ID --json"


def beginning(ident: UUID) -> str:
    """Give so much of an id as tells it apart from those made in the same moment."""
    return str(ident)[:ID_LENGTH]


def tone(state: str) -> str:
    """Give the colour a state is shown in: good, bad, open or plain."""
    for name, states in (("good", _GOOD), ("bad", _BAD), ("open", _OPEN)):
        if state in states:
            return name
    return "plain"


def _span(span: timedelta) -> str:
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if span >= unit:
            count = span // unit
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{int(span.total_seconds())} seconds"
