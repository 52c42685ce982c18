"""Comment bodies: the hidden marker that finds a comment again, and fitting into GitHub's limit."""

from __future__ import annotations

import hashlib
import re

MAX_BODY_CHARS = 65_000
"""GitHub takes 65 536 (reference 6.2); the rest is kept for what is closed after a cut."""
MAX_MARKER_CHARS = 100
_PLAIN_MARKER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:/]|-(?!-))*")
_ODD_IN_MARKER = re.compile(r"[^A-Za-z0-9_.:/]+")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_DETAILS = re.compile(r"<(/?)details\b[^>]*>", re.IGNORECASE)


def marker_name(text: str) -> str:
    """Give a marker's text in a form that cannot end an HTML comment.

    A text that had to be changed or shortened keeps a digest, so that two never become one.
    """
    if _PLAIN_MARKER.fullmatch(text) and len(text) <= MAX_MARKER_CHARS and not text.endswith("-"):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    plain = _ODD_IN_MARKER.sub("-", text).strip("-")[: MAX_MARKER_CHARS - 9].strip("-")
    return f"{plain}-{digest}" if plain else digest


def marker_line(marker: str) -> str:
    """Give the first line of a comment that can be found again."""
    return f"<!-- hookwright:{marker_name(marker)} -->"


def marked_body(marker: str, body: str) -> str:
    """Give the whole text of a comment: its marker, then the body, within GitHub's limit."""
    return fit(f"{marker_line(marker)}\n{body.strip()}\n")


def has_marker(body: str | None, marker: str) -> bool:
    """Say whether this comment begins with the marker."""
    first = (body or "").lstrip("\ufeff").splitlines()[:1]
    return bool(first) and first[0].strip() == marker_line(marker)


def is_same(one: str | None, other: str) -> bool:
    """Say whether two texts are equal but for line ends, which GitHub may write its own way."""
    return (one or "").replace("\r\n", "\n").rstrip() == other.replace("\r\n", "\n").rstrip()


def fit(text: str, limit: int = MAX_BODY_CHARS) -> str:
    """Cut a text that is too long at the end of a line, and close what the cut left open."""
    if len(text) <= limit:
        return text
    note = f"\n\n*Cut: the whole text has {len(text)} characters.*\n"
    room = limit - len(note)
    while True:
        kept = text[:room]
        # A line longer than everything that is kept has to be cut where it stands.
        kept = kept[: kept.rfind("\n")] if kept.rfind("\n") > room // 2 else kept
        closing = _closing(kept)
        if len(kept) + len(closing) + len(note) <= limit:
            return f"{kept}{closing}{note}"
        room -= max(len(kept) + len(closing) + len(note) - limit, 1)


def _closing(text: str) -> str:
    """Give what closes the code fence and the `<details>` that are open at the end of a text."""
    fence = ""
    details = 0
    for line in text.splitlines():
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not found[2].strip():
                fence = ""
            continue
        # An info string after backticks cannot hold another backtick (CommonMark 4.5).
        if found and not (found[1].startswith("`") and "`" in found[2]):
            fence = found[1]
            continue
        for tag in _DETAILS.finditer(line):
            details = max(0, details - 1) if tag[1] else details + 1
    return (f"\n{fence}" if fence else "") + "\n\n</details>" * details
