"""The steps at a vendor for one source: its own address, and where its own secret comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from schemas.config import SecretReference
from service.configuration import read_references
from service.errors import ConfigurationError
from service.settings import environment, load_settings
from service.vendors.base import Vendor

_EXAMPLE = re.compile(r"the (?:environment )?variable [A-Z][A-Z0-9_]+")
_TOKEN = "/TOKEN"  # noqa: S105  # what stands in an address for the path token
_UNSIGNED = (
    (
        "At the sender, add a webhook with the address {url}. Instead of TOKEN write what is in "
        "the variable PATH_TOKEN."
    ),
    "Whoever knows that address can send to it, so keep it as a secret.",
)
"""The steps for a source whose options say that nothing is signed, of a vendor that can sign."""


def with_own_places(vendor: Vendor, source: str, url: str, *, signed: bool) -> Vendor:
    """Give a vendor whose steps name where this source has its secret, not the example's variable.

    That is known where hookwright.yaml is; elsewhere they name that file. `url` is the address of
    the source, with TOKEN where it has a path token; it stands in the steps then.
    """
    try:
        references = read_references(load_settings().config, environment(), source, vendor.name)
    except ConfigurationError:
        references = ()
    place = _place(references, source, "secret" if signed else "path_token")
    steps = vendor.guide.incoming
    if vendor.incoming is not None and not vendor.incoming.needs_secret:
        # The steps of who never signs say by themselves where the path token goes.
        url = url.removesuffix(_TOKEN)
    elif not signed:
        steps = _UNSIGNED
    own = tuple(_EXAMPLE.sub(lambda _found: place, step).replace("{url}", url) for step in steps)
    return replace(vendor, guide=replace(vendor.guide, incoming=own))


def _place(references: Sequence[SecretReference], source: str, kind: str) -> str:
    # The first is the one that signs and that a vendor is told; others are on their way out.
    for reference in references:
        if reference.env is not None:
            return f"the variable {reference.env}"
        if reference.file is not None:
            return f"the file {reference.file}"
    return f"the {kind} of `{source}` in hookwright.yaml"
