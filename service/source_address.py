"""The address a vendor sends to, as it is shown: what only the vendor may know is not in it."""

from __future__ import annotations

from schemas.configured_tables import SourceRow
from service.settings import Settings


def public_base(settings: Settings) -> str:
    """Give the address of this server as others see it, without a slash at its end."""
    return (settings.public_url or settings.server_url).rstrip("/")


def source_address(source: SourceRow, settings: Settings) -> str:
    """Give a source's address; TOKEN stands for its path token, which is kept as a digest alone."""
    token = "/TOKEN" if source.path_token_sha256 else ""
    return f"{public_base(settings)}/hooks/{source.name}{token}"
