"""Whatever is configured, or given to and by an action, is explained: the pages are made of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

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
        yield from inner(vendor.outgoing.options)
        yield vendor.outgoing.credentials


def inner(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Give the models that fields of this one are made of."""
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield field.annotation


def silent(model: type[BaseModel]) -> list[str]:
    """Give the fields of which no sentence tells."""
    return [
        name
        for name, field in model.model_fields.items()
        if not (field.description or "").endswith(".")
    ]


@every_vendor
def test_what_is_configured_is_told_field_by_field(vendor: Vendor) -> None:
    for model in configured(vendor):
        assert silent(model) == [], model.__name__


@every_vendor
def test_every_field_of_an_action_is_told(vendor: Vendor) -> None:
    for action in vendor.actions:
        for model in (action.params, action.outputs):
            assert silent(model) == [], f"{action.name}: {model.__name__}"
