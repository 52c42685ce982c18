"""Kinds of parameters that several actions take."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from service.vendors.base import Params

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,50}$")]


class NoParams(Params):
    """Nothing to choose."""
