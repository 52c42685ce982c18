"""What is wrong with a document, where, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from service.errors import Invalid

_MOST_LISTED = 8
_MOST_SHOWN = 20
_MOST_COMPARED = 200


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One fault. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    message: str
    hint: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


class DocumentError(Invalid):
    """The workflow document has faults; `findings` holds all of them in the document's order."""

    code = "workflow_invalid"

    def __init__(self, findings: Iterable[Finding]) -> None:
        """Keep the findings; the message names the first ones."""
        self.findings = tuple(sorted(set(findings)))
        shown = [str(finding) for finding in self.findings[:_MOST_SHOWN]]
        left = len(self.findings) - len(shown)
        super().__init__("\n".join([*shown, f"… and {left} more"] if left else shown))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Give a hint: the nearest of the known names, or all of them when they are few."""
    names = sorted(set(known))
    # Comparing is slow, and a document of thousands of steps may misread each of them: of many
    # names only those with the same beginning are compared.
    candidates = names
    if len(names) > _MOST_COMPARED:
        candidates = [item for item in names if item[:2] == name[:2]][:_MOST_COMPARED]
    near = get_close_matches(name, candidates, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    if not names:
        return None
    listed = ", ".join(f"`{item}`" for item in names[:_MOST_LISTED])
    return f"there is {listed}{' …' if len(names) > _MOST_LISTED else ''}"
