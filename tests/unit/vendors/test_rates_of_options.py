"""The option `per_minute` of every vendor that is called has the same bounds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from service.call_rates import rates_with
from service.vendors import VENDORS

OUTGOING = {
    vendor.name: vendor.outgoing
    for vendor in VENDORS
    if vendor.outgoing is not None and "per_minute" in vendor.outgoing.options.model_fields
}


def test_every_vendor_that_is_called_has_the_option() -> None:
    assert set(OUTGOING) == {vendor.name for vendor in VENDORS if vendor.outgoing is not None}


@pytest.mark.parametrize("name", OUTGOING)
@pytest.mark.parametrize(
    "given", [0, -1, 1e-308, 0.009, 100_001, 1e308, float("inf"), float("nan")]
)
def test_a_rate_beyond_the_bounds_is_refused(name: str, given: float) -> None:
    with pytest.raises(ValidationError) as caught:
        OUTGOING[name].options.model_validate({"per_minute": given})
    assert caught.value.errors()[0]["loc"][0] == "per_minute"


@pytest.mark.parametrize("name", OUTGOING)
@pytest.mark.parametrize(("given", "calls", "seconds"), [(0.01, 1, 6000), (100_000, 100_000, 60)])
def test_a_rate_at_the_bounds_is_kept(name: str, given: float, calls: int, seconds: float) -> None:
    options: Any = OUTGOING[name].options.model_validate({"per_minute": given})
    first = rates_with(OUTGOING[name].rates, options.per_minute)[0]
    assert (first.calls, first.seconds) == (calls, seconds)
