"""Recorded bodies of the vendors, exactly as sent; for tests, demonstrations and `send`.

A sample lies in `service/vendors/<vendor>/samples/` and is named after the vendor's event, with a
variant after a plus sign where there are several: `run.failed.json`, `run.failed+error.json`. What
ends in `.form` is form-encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from service.errors import NotFound

_ENDINGS = (".json", ".form")


def names(vendor: str) -> tuple[str, ...]:
    """Give the names of a vendor's samples, in order; none for a vendor that sends nothing."""
    return tuple(sorted(name for name, _ in _samples(vendor)))


def read(vendor: str, name: str) -> bytes:
    """Give one sample's bytes. Raises NotFound that lists the names there are."""
    for found, file in _samples(vendor):
        if found == name:
            return file.read_bytes()
    known = ", ".join(names(vendor)) or "none"
    raise NotFound(f"{vendor} has no sample {name!r}", hint=f"samples: {known}")


def event_of(name: str) -> str:
    """Give the vendor's name of the event that a sample is of."""
    return name.partition("+")[0]


def _samples(vendor: str) -> Iterator[tuple[str, Traversable]]:
    folder = files("service.vendors") / vendor / "samples"
    if not vendor.isidentifier() or not folder.is_dir():
        return
    for file in folder.iterdir():
        for ending in _ENDINGS:
            if file.name.endswith(ending):
                yield file.name.removesuffix(ending), file
