"""Gathering what is wrong with one document, each fault at its place in the text."""

from __future__ import annotations

from service.workflows.findings import Finding
from service.workflows.yaml_tree import Path, YamlTree


class Finder:
    """Turns paths into lines and columns. `findings` are those of this document so far."""

    def __init__(self, tree: YamlTree, file: str) -> None:
        self.tree = tree
        self.file = file
        self.findings: list[Finding] = []

    def at(self, path: Path, message: str, hint: str | None, *, key: bool = False) -> None:
        """Note what is wrong with the value at a path, or with its key."""
        place = self.tree.place(path)
        line, column = (place.key_line, place.key_column) if key else (place.line, place.column)
        self.findings.append(Finding(self.file, line, column, message, hint))

    def inside(self, path: Path, text: str, offset: int, message: str, hint: str | None) -> None:
        """Note what is wrong at a character of the text at a path."""
        line, column = self.tree.point(path, text, offset)
        self.findings.append(Finding(self.file, line, column, message, hint))

    def elsewhere(self, file: str, line: int, column: int, message: str, hint: str | None) -> None:
        """Note what is wrong in a file that the document uses."""
        self.findings.append(Finding(file, line, column, message, hint))
