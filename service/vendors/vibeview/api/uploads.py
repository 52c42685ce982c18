"""Bodies of uploads: forms with one file in them (RFC 7578). No I/O."""

from __future__ import annotations

import secrets
from collections.abc import Mapping


def make_form(
    fields: Mapping[str, str], name: str, filename: str, content: bytes, kind: str
) -> tuple[bytes, str]:
    """Give a form of these fields and one file: its body, and its content type.

    `name` is the file's field and `kind` its content type.
    """
    boundary = f"form-{secrets.token_hex(16)}"
    parts = bytearray()
    for field, value in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(field)}"\r\n\r\n'
        parts += head.encode() + value.encode() + b"\r\n"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"; '
        f'filename="{_quoted(filename)}"\r\nContent-Type: {kind}\r\n\r\n'
    )
    parts += head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return bytes(parts), f"multipart/form-data; boundary={boundary}"


def _quoted(text: str) -> str:
    """Write a name so that it cannot end its quotes or its line, as browsers do."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
