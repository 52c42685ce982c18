"""Where the secrets of one source come from, in a guide that names variables as examples."""

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


def with_own_places(vendor: Vendor, source: str) -> Vendor:
    """Give a vendor whose steps name where this source has its secret, not the example's variable.

    That is known where hookwright.yaml is; elsewhere they name that file.
    """
    try:
        references = read_references(load_settings().config, environment(), source, vendor.name)
    except ConfigurationError:
        references = ()
    place = _place(references, source)
    steps = tuple(_EXAMPLE.sub(lambda _found: place, step) for step in vendor.guide.incoming)
    return replace(vendor, guide=replace(vendor.guide, incoming=steps))


def _place(references: Sequence[SecretReference], source: str) -> str:
    # The first is the one that signs and that a vendor is told; others are on their way out.
    for reference in references:
        if reference.env is not None:
            return f"the variable {reference.env}"
        if reference.file is not None:
            return f"the file {reference.file}"
    return f"the secret of `{source}` in hookwright.yaml"
