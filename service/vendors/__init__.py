"""The vendors Hookwright knows, as one tuple that can be read; nothing is found by scanning.

A vendor is a package of its name that has a `VENDOR`, loaded when somebody first asks for it: a
receiver of one vendor need not know the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import overload

from service.vendors.base import Vendor

__all__ = ["BY_NAME", "VENDORS"]

_NAMES = (
    "vibeview",
    "checkly",
    "checkview",
    "checkrd",
    "checksum",
    "github",
    "slack",
    "gitlab",
    "stripe",
    "sentry",
    "pagerduty",
    "datadog",
    "vercel",
    "linear",
    "shopify",
    "zendesk",
    "circleci",
    "buildkite",
    "discord",
    "sendgrid",
    "svix",
    "standardwebhooks",
    "workos",
    "cloudevents",
    "generic",
)


class _ByName(Mapping[str, Vendor]):
    """Loads a vendor when it is asked for."""

    def __getitem__(self, name: str) -> Vendor:
        if name not in _NAMES:
            raise KeyError(name)
        vendor: Vendor = import_module(f"{__name__}.{name}").VENDOR
        return vendor

    def __contains__(self, name: object) -> bool:
        return name in _NAMES

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


BY_NAME: Mapping[str, Vendor] = _ByName()


class _All(Sequence[Vendor]):
    """Every vendor in the order above; to go through them loads them all."""

    @overload
    def __getitem__(self, at: int) -> Vendor: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Vendor]: ...

    def __getitem__(self, at: int | slice) -> Vendor | Sequence[Vendor]:
        if isinstance(at, slice):
            return tuple(BY_NAME[name] for name in _NAMES[at])
        return BY_NAME[_NAMES[at]]

    def __len__(self) -> int:
        return len(_NAMES)


VENDORS: Sequence[Vendor] = _All()
