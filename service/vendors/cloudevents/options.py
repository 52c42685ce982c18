"""Options of a CloudEvents source: how the sender proves who it is, and other types for events."""

from __future__ import annotations

from pydantic import Field, field_validator

from service.errors import ConfigurationError
from service.signatures import preset
from service.vendors.base import Options

NONE = "none"


class CloudEventsOptions(Options):
    """What can be set for a CloudEvents source.

    `scheme` names a ready scheme, or `none` for a sender that proves nothing (the source is then
    known by its path token). The standard asks for a bearer token.
    """

    scheme: str = Field(
        default="bearer-token", description="A ready scheme by name, or none with a path token."
    )
    events: dict[str, str] = Field(
        default_factory=dict,
        description="The sender's types of events and the types to give them.",
    )

    @field_validator("scheme")
    @classmethod
    def _must_be_known(cls, name: str) -> str:
        if name != NONE:
            try:
                preset(name)
            except ConfigurationError as error:
                message = f"{error.message}; {error.hint}, {NONE}"
                raise ValueError(message) from error
        return name


def is_unsigned(options: CloudEventsOptions) -> bool:
    """Say whether nothing but the path token proves the sender."""
    return options.scheme == NONE
