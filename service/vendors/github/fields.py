"""What parameters of several actions have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

Repo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{7,64}$", to_lower=True)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]

REPO = "Repository as owner/name."
SHA = "Commit, of at least its first seven digits."


def one_line(text: str, limit: int) -> str:
    """Give a text as one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
