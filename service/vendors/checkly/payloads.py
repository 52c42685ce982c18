"""What we read of Checkly's deliveries: the members of our own template, all of them optional."""

from __future__ import annotations

import html
from typing import Annotated

from pydantic import BeforeValidator

from service.vendors.reading import Payload, Text, Time, Whole, as_list, as_text

_MOST_DIGITS = 18


def as_milliseconds(value: object) -> int | None:
    """Give a number, also one that came as text or with a fraction, as whole milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > _MOST_DIGITS:
        return None
    try:
        number = round(float(value))
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 10**_MOST_DIGITS else None


def _as_tags(value: object) -> tuple[str, ...]:
    # The template has the tags in double braces, which escape for HTML: `env=live` comes as
    # `env&#x3D;live`.
    found = (as_text(item) for item in as_list(value))
    return tuple(html.unescape(text) for text in found if text is not None)


Milliseconds = Annotated[int | None, BeforeValidator(as_milliseconds)]
Tags = Annotated[tuple[str, ...], BeforeValidator(_as_tags)]


class Alert(Payload):
    """One alert of a check, from a webhook or from the vendor's list of alerts.

    `error`, the two members about the certificate and those of the vendor's analysis are not in our
    template; they are read where somebody has added them.
    """

    alert_type: Text = None
    check_id: Text = None
    check_name: Text = None
    check_type: Text = None
    check_result_id: Text = None
    group: Text = None
    location: Text = None
    response_time_ms: Milliseconds = None
    result_link: Text = None
    started_at: Time = None
    tags: Tags = ()
    error: Text = None
    ssl_days_remaining: Whole = None
    ssl_check_domain: Text = None
