"""Sources that belong to no account although their vendor has some: facts would come twice.

What a poll or a comparison finds is known under its connection. A webhook of the same fact at a
source that is tied to none is known under the source alone, so both are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.configuration import Declared
from service.vendors.base import Vendor


def warn_of_untied(
    declared: Declared, ties: Mapping[str, str | None], vendors: Mapping[str, Vendor]
) -> Iterator[str]:
    """Give a line for every source whose facts would double, with what to add.

    `ties` are the connections that sources belong to now, by the sources' names. Nothing is said
    of a vendor that is neither asked by a declared poll nor keeps a record.
    """
    asked = {poll.connection for poll in declared.polls}
    for item in declared.sources:
        config, vendor = item.config, vendors.get(item.config.vendor)
        if vendor is None or not config.enabled or ties.get(config.name) is not None:
            continue
        names = [
            one.config.name for one in declared.connections if one.config.vendor == vendor.name
        ]
        if names and (vendor.records or asked.intersection(names)):
            which = names[0] if len(names) == 1 else f"NAME ({' or '.join(names)})"
            yield (
                f"the source `{config.name}` is tied to no connection of {vendor.title}: what a "
                "poll or a comparison finds would be stored beside what arrives here, as two "
                f"events; add `connection: {which}` to it"
            )
