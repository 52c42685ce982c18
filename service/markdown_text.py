"""Markdown for generated pages: plain text that stays plain, tables, lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPANS = re.compile(r"(`[^`]*`)")
_SPECIAL = re.compile(r"([\\*<>\[\]])")
_UNDERSCORE = re.compile(r"(?<!\w)_(?=\w)")


def plain(text: str) -> str:
    """Give a text in which nothing is taken for Markdown, except what is between backticks."""
    parts = _SPANS.split(" ".join(text.split()))
    return "".join(
        part
        if part.startswith("`") and part.endswith("`") and len(part) > 1
        else _UNDERSCORE.sub(r"\\_", _SPECIAL.sub(r"\\\1", part))
        for part in parts
    )


def code(text: str) -> str:
    """Give a text as code on one line."""
    mark = "``" if "`" in text else "`"
    pad = " " if mark == "``" else ""
    return f"{mark}{pad}{text}{pad}{mark}" if text else ""


def fence(text: str, language: str) -> str:
    """Give a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table whose cells are Markdown already."""
    lines = [_row(columns), "|" + "---|" * len(columns)]
    lines += [_row(row) for row in rows]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    shown = [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]
    return ("| " + " | ".join(shown) + " |").replace("|  |", "| |").replace("|  |", "| |")


def numbered(items: Iterable[str]) -> str:
    """Give a numbered list of plain texts."""
    return "\n".join(f"{number}. {plain(item)}" for number, item in enumerate(items, 1))


def bullets(items: Iterable[str]) -> str:
    """Give a list of plain texts."""
    return "\n".join(f"- {plain(item)}" for item in items)


def anchor(heading: str) -> str:
    """Give the fragment of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
