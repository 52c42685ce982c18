"""A vendor that is there is registered, and one that sends has samples."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import service.vendors
from service.errors import NotFound
from service.vendors import BY_NAME, VENDORS, samples
from service.vendors.base import Options

ROOT = Path(service.vendors.__file__).parent
NO_VENDORS = {"__pycache__", "base"}
FOLDERS = sorted(
    path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in NO_VENDORS
)
INCOMING = [vendor for vendor in VENDORS if vendor.incoming is not None]


def test_every_folder_is_registered_and_nothing_else():
    assert sorted(vendor.name for vendor in VENDORS) == FOLDERS
    assert set(BY_NAME) == set(FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_exports_its_vendor_and_names_its_pages(name):
    module = import_module(f"service.vendors.{name}")
    assert module.VENDOR is BY_NAME[name]
    assert module.VENDOR.name == name
    assert module.VENDOR.title
    assert "Pages:" in (module.__doc__ or "")


@pytest.mark.parametrize("vendor", INCOMING, ids=lambda vendor: vendor.name)
def test_a_vendor_that_sends_has_samples(vendor):
    assert samples.names(vendor.name)
    for name in samples.names(vendor.name):
        assert samples.read(vendor.name, name)


def test_no_sample_without_a_vendor_that_sends():
    with_samples = {name for name in FOLDERS if samples.names(name)}
    assert with_samples == {vendor.name for vendor in INCOMING}


@pytest.mark.parametrize("vendor", INCOMING, ids=lambda vendor: vendor.name)
def test_options_have_defaults_and_refuse_unknown_keys(vendor):
    assert issubclass(vendor.incoming.options, Options)
    assert vendor.incoming.options() == vendor.incoming.options.model_validate({})
    with pytest.raises(ValueError, match="no_such_option"):
        vendor.incoming.options.model_validate({"no_such_option": 1})


@pytest.mark.parametrize("vendor", ["nobody", "..", "../slack", ""])
def test_unknown_vendor_has_no_samples(vendor):
    assert samples.names(vendor) == ()


def test_unknown_sample_names_the_known_ones():
    with pytest.raises(NotFound) as caught:
        samples.read("github", "pull_request.opend")
    assert "pull_request.opened" in (caught.value.hint or "")


def test_event_of_a_variant():
    assert samples.event_of("run.failed+error") == "run.failed"
    assert samples.event_of("run.failed") == "run.failed"
