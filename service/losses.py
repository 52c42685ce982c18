"""Rows that take their worker down: how often that may happen before they are set aside.

Who begins with such a row writes it down before, so that it is known when nobody came back.
"""

from __future__ import annotations

MOST_LOSSES = 5
"""Workers that may be lost in a row with the same thing. Some are lost for other reasons."""
SUSPECT_AFTER_RINGS = 2
"""What was rung for more often and still waits is begun with care: perhaps workers were lost before
they could write anything down. It costs a transaction, so that not everything is begun so."""


def said_of(losses: int) -> str:
    """Say in words why something is not tried any more."""
    return f"its worker was lost {losses} times in a row"
