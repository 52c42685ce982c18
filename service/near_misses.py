"""Small changes of a secret or a body after which a signature is right, as they happen in practice.

Each comes with words that complete "matches if ...".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def other_secrets(secret: str) -> Iterator[tuple[str, str]]:
    """Give what the secret may have been meant to be."""
    bare = secret.strip()
    if bare != secret:
        yield "the spaces or line breaks around the secret are removed", bare
    quoted = bare[1:-1]
    if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'":  # noqa: PLR2004  # two quotes
        yield "the quotes around the secret are removed", quoted
    yield "a line break is added to the secret", f"{bare}\n"
    head, mark, tail = bare.partition("_")
    if mark and tail and head.startswith("wh"):
        yield f"`{head}_` is removed from the secret", tail
    elif bare:
        yield "`whsec_` is put before the secret", f"whsec_{bare}"


def other_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give what the body may have been before something on its way touched it."""
    if body.endswith(b"\r\n"):
        yield "the line break at the end of the body is removed", body[:-2]
    elif body.endswith(b"\n"):
        yield "the line break at the end of the body is removed", body[:-1]
    if body.strip() != body:
        yield "the white space around the body is removed", body.strip()
    yield "a line break is added to the body", body + b"\n"
    yield "CR LF is added to the body", body + b"\r\n"
    if b"\r\n" in body:
        yield "the CR LF in the body are line feeds", body.replace(b"\r\n", b"\n")
    elif b"\n" in body:
        yield "the line feeds in the body are CR LF", body.replace(b"\n", b"\r\n")
    mark = b"\xef\xbb\xbf"
    if body.startswith(mark):
        yield "the byte order mark before the body is removed", body.removeprefix(mark)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    for words, knobs in _SERIALISED:
        try:
            yield f"the JSON of the body is written {words}", json.dumps(value, **knobs).encode()
        except (ValueError, RecursionError):
            return
    yield "the body is empty", b""


_SERIALISED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("without spaces", {"separators": (",", ":"), "ensure_ascii": False}),
    (
        "without spaces and with \\u escapes",
        {"separators": (",", ":"), "ensure_ascii": True},
    ),
    ("with a space after every comma and colon", {"ensure_ascii": False}),
    ("with spaces and \\u escapes", {"ensure_ascii": True}),
    ("with an indent of two", {"indent": 2, "ensure_ascii": False}),
    ("with its keys sorted", {"separators": (",", ":"), "sort_keys": True}),
)
