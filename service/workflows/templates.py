"""Template files: a long text of a parameter, such as a comment, kept in a file of its own.

The language is Jinja's, as far as texts need it, over the names that expressions see. Nothing is
HTML-escaped: a text is Markdown or a message, and its author says how foreign texts go into it
(`escape_markdown`, `escape_slack`, `safe_url`). Null is printed as nothing, true as `true`, and
lists and maps as JSON: as inside `${{ … }}`. A line that holds only tags leaves no empty line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from jinja2 import nodes

from service.workflows.scope import Scope
from service.workflows.template_budget import Fault
from service.workflows.template_references import (
    Path,
    TemplateReference,
    read_paths,
    template_references,
)
from service.workflows.template_rendering import Rendering
from service.workflows.template_syntax import TemplateError, parse_template

__all__ = ["Template", "TemplateError", "TemplateReference", "compile_template"]

CACHED_TEMPLATES = 256
_LONGEST_FAULT = 500


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template. Build it with `compile_template`; it may be shared by threads.

    `references` are what it surely reads of the scope, for whoever checks the document.
    """

    name: str
    text: str
    references: tuple[TemplateReference, ...]
    tree: nodes.Template = field(repr=False, compare=False)
    paths: frozenset[Path] = field(repr=False, compare=False)

    def render(self, scope: Scope) -> str:
        """Give the text, of at most 1,048,576 characters. Raises TemplateError."""
        known = frozenset({*scope.roots, "steps"})
        rendering = Rendering(scope.bindings(self.paths), known)
        try:
            return _sound(rendering.perform(self.tree))
        except Fault as error:
            raise self._error(str(error), rendering.line, error.hint) from error
        except RecursionError as error:
            raise self._error("it is nested too deeply", rendering.line) from error
        except (ValueError, OverflowError) as error:
            # A number of a payload may have more digits than Python is willing to print.
            raise self._error(str(error), rendering.line) from error

    def _error(self, fault: str, line: int, hint: str | None = None) -> TemplateError:
        # A fault may name a foreign key or text.
        shown = fault if len(fault) <= _LONGEST_FAULT else f"{fault[: _LONGEST_FAULT - 1]}…"
        return TemplateError(shown, name=self.name, text=self.text, line=line, hint=hint)


@lru_cache(maxsize=CACHED_TEMPLATES)
def compile_template(text: str, name: str) -> Template:
    """Check a template and give it ready to render. `name`: its path, for errors.

    Raises TemplateError.
    """
    tree = parse_template(text, name)
    references = template_references(tree, text)
    return Template(name, text, references, tree, read_paths(tree))


def _sound(text: str) -> str:
    """Give the text without what a payload may hold and neither JSON nor PostgreSQL carries."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
