"""What every call of a connection begins with: its base address and its own headers, checked.

The configuration is held against these before anything is called, and the client once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from service.errors import ConfigurationError


def checked_base_url(base_url: str) -> str:
    """Give the address before every path, without a slash at its end.

    Raises ConfigurationError for what is no http(s) address of scheme, host and path alone. The
    message does not repeat the address, for a password may stand in it.
    """
    text = base_url.strip()
    if not _is_usable(text):
        raise ConfigurationError(
            "base_url is no usable address",
            hint="give scheme, host and path only, such as https://api.example.com",
        )
    return text.rstrip("/")


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the headers. Raises ConfigurationError naming one whose value none can have."""
    for name, value in headers.items():
        if not fits_header(value):
            raise ConfigurationError(
                f"the value for the header {name} holds characters that no header can have",
                hint="check the credential for line breaks, invisible characters and spaces at "
                "its ends",
            )
    return dict(headers)


def fits_header(value: str) -> bool:
    """Say whether a text can be the value of a header."""
    return value.isascii() and value.isprintable() and value == value.strip()


def _is_usable(text: str) -> bool:
    # An empty query or fragment, and an empty name before `@`, are lost when an address is parsed,
    # and so are line breaks; what is sent later would still have them.
    if not text.isprintable() or any(character in text for character in " ?#\\"):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
        httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
