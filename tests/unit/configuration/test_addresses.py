"""Addresses that cannot be used are told as such, without the password in them."""

from __future__ import annotations

import pytest

from service.db import normalise_url
from service.errors import ConfigurationError
from service.queue import make_broker


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hidden@[::1", "postgresql://u:hidden@h:port/x", "mysql://u:hidden@h/x", "x"],
)
def test_what_is_no_database_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        normalise_url(url)
    assert "hidden" not in f"{told.value.message} {told.value.hint}"


@pytest.mark.parametrize(
    "url",
    ["redis://:hidden@[::1", "redis://:hidden@h:port/0", "http://:hidden@h/0", "redis://h/0?x=1"],
)
def test_what_is_no_redis_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        make_broker(url)
    assert "hidden" not in f"{told.value.message} {told.value.hint}"
