"""The address a vendor sends to. Of a path token, known to the vendor alone, a digest is kept."""

from __future__ import annotations

from schemas.configured_tables import SourceRow
from service.settings import Settings


def public_base(settings: Settings) -> str:
    """Give the address of this server as others see it, without a slash at its end."""
    return (settings.public_url or settings.server_url).rstrip("/")


def source_address(source: SourceRow, settings: Settings) -> str:
    """Give a source's address; where it has a path token, a slash and the token follow."""
    return f"{public_base(settings)}/hooks/{source.name}"


def shown_address(address: str, *, has_path_token: bool) -> str:
    """Give an address as people are shown it: TOKEN stands for the path token."""
    return f"{address}/TOKEN" if has_path_token else address
