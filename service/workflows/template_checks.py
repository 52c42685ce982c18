"""Whether the templates that a document's steps name exist, and what these read can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.events import Json
from service.workflows.finder import Finder
from service.workflows.findings import did_you_mean
from service.workflows.names import Fault, Names
from service.workflows.templates import Template, TemplateError, compile_template
from service.workflows.yaml_tree import Path

TEMPLATE = "template"
_SYNTAX = "templates are written in a part of Jinja; docs/workflow-reference.md lists it"


class UnreadableTemplate(ValueError):  # noqa: N818  # says what is wrong with the file
    """The file of a template cannot be used; `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        """Keep the sentence and the hint."""
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """The text of a template, and its file as people name it."""

    text: str
    file: str


ReadTemplate = Callable[[str], TemplateFile]
"""Gives the template of a path that is relative to the document. Raises UnreadableTemplate."""


def is_template(value: Json) -> bool:
    """Say whether a parameter is the text that a template gives."""
    return isinstance(value, Mapping) and set(value) == {TEMPLATE}


def is_meant_as_template(value: Json) -> bool:
    """Say whether a parameter is one, perhaps with what a template does not take."""
    return isinstance(value, Mapping) and TEMPLATE in value and set(value) <= {TEMPLATE, "values"}


class TemplateChecker:
    """Checks the templates of one document. `texts` are those of the files it uses, by path."""

    def __init__(self, finder: Finder, data: Mapping[str, Any], read: ReadTemplate | None) -> None:
        self.texts: dict[str, str] = {}
        self._finder = finder
        self._read = read
        inline = data.get("templates")
        self._inline = inline if isinstance(inline, Mapping) else {}
        self._compiled: dict[str, Template | None] = {}
        self._files: dict[str, str] = {}

    def inline(self) -> None:
        """Check the templates that stand in the document."""
        for name in self._inline:
            self._compile(("templates", name), name)

    def parameter(self, path: Path, value: Mapping[str, Json], names: Names) -> None:
        """Check a parameter that names a template."""
        name = value[TEMPLATE]
        place = (*path, TEMPLATE)
        if not isinstance(name, str) or not name:
            hint = "such as `{template: texts/comment.md.jinja}`"
            self._finder.at(place, "`template` must be the path or the name of a template", hint)
            return
        template = self._compile(place, name)
        for reference in () if template is None else template.references:
            found = names.read(reference.path)
            if not isinstance(found, Fault):
                continue
            if reference.tested and reference.path[0] not in {*names.roots, "steps"}:
                continue  # other steps may use the same template, where there is such a name
            self._inside(name, reference.line, reference.offset, found.message, found.hint)

    def _compile(self, place: Path, name: str) -> Template | None:
        if name not in self._compiled:
            self._compiled[name] = None
            text = self._text(place, name)
            if text is not None:
                self._compiled[name] = self._try(name, text)
        return self._compiled[name]

    def _text(self, place: Path, name: str) -> str | None:
        if name in self._inline:
            text = self._inline[name]
            return text if isinstance(text, str) else None
        if self._read is None:
            hint = did_you_mean(name, self._inline)
            hint = hint or "write its text below `templates:`, a key of the document"
            self._finder.at(place, f"the document has no template `{name}`", hint)
            return None
        try:
            found = self._read(name)
        except UnreadableTemplate as error:
            near = did_you_mean(name, self._inline) if self._inline else None
            near = near if near is not None and near.startswith("did") else None
            self._finder.at(place, str(error), near or error.hint)
            return None
        self.texts[name] = found.text
        self._files[name] = found.file
        return found.text

    def _try(self, name: str, text: str) -> Template | None:
        try:
            return compile_template(text, name)
        except TemplateError as error:
            self._inside(name, error.line, error.offset, error.fault, error.hint or _SYNTAX)
            return None

    def _inside(self, name: str, line: int, offset: int, message: str, hint: str | None) -> None:
        if name in self._files:
            self._finder.elsewhere(self._files[name], line, 1, message, hint)
        else:
            text = str(self._inline[name])
            self._finder.inside(("templates", name), text, offset, message, hint)
