"""Whatever is configured, or given to and by an action, is explained: the pages are made of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from service.vendor_facts import about
from service.vendors import VENDORS
from service.vendors.base import Vendor

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


def configured(vendor: Vendor) -> Iterator[type[BaseModel]]:
    yield from (poll.options for poll in vendor.polls)
    yield from (record.options for record in vendor.records)
    if vendor.incoming is not None:
        yield vendor.incoming.options
    if vendor.outgoing is not None:
        yield vendor.outgoing.options
        yield vendor.outgoing.credentials


def silent(model: type[BaseModel]) -> list[str]:
    """Give the fields of which no sentence tells."""
    return [
        name
        for name, field in model.model_fields.items()
        if not (field.description or "").endswith(".")
    ]


@every_vendor
def test_what_is_configured_is_told_field_by_field_or_as_a_whole(vendor: Vendor) -> None:
    for model in configured(vendor):
        fields = list(model.model_fields)
        told_as_a_whole = about(model) and silent(model) == fields
        assert silent(model) == [] or told_as_a_whole, model.__name__


@every_vendor
def test_every_field_of_an_action_is_told(vendor: Vendor) -> None:
    for action in vendor.actions:
        for model in (action.params, action.outputs):
            assert silent(model) == [], f"{action.name}: {model.__name__}"
