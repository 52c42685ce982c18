"""Template files of workflow documents: read when a configuration is applied, and never later.

A document names them by a path relative to its own file. What lies outside of the configuration's
folder is nobody's business: a path that leads there, by `..` or by a link, is refused.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from service.workflows.findings import did_you_mean
from service.workflows.template_checks import TemplateFile, UnreadableTemplate
from service.workflows.template_syntax import LONGEST_TEMPLATE

LARGEST_FILE_BYTES = 4 * LONGEST_TEMPLATE
"""No template of this many bytes can be short enough."""
MOST_COMPARED = 500
"""Files that are looked at to say which one was meant."""


class TemplateFiles:
    """The templates that one document can name. `root`: the folder they must lie in."""

    def __init__(self, document: Path, root: Path) -> None:
        self._folder = document.parent
        home = root.resolve()
        # A document may itself lie elsewhere; then its own folder is where its templates are.
        inside = self._folder.resolve().is_relative_to(home)
        self._root = home if inside else self._folder.resolve()

    def read(self, name: str) -> TemplateFile:
        """Give the template of a path. Raises UnreadableTemplate."""
        path = self._folder / self._checked(name)
        try:
            real = path.resolve()
            # Said first: whether a file exists elsewhere is nobody's business either.
            if not real.is_relative_to(self._root):
                message = f"the template `{name}` lies outside of the configuration's folder"
                raise UnreadableTemplate(message, "put the file beside the document")
            if real.exists() and not real.is_file():
                message = f"the template `{name}` is no file"
                raise UnreadableTemplate(message, "name the file itself")
            with real.open("rb") as file:
                content = file.read(LARGEST_FILE_BYTES + 1)
        except FileNotFoundError as error:
            message = f"there is no file `{name}` beside the document"
            hint = self._near(name) or "paths of templates are relative to the document's file"
            raise UnreadableTemplate(message, hint) from error
        except (OSError, RuntimeError) as error:
            cause = getattr(error, "strerror", None) or "its links lead in a circle"
            message = f"the template `{name}` cannot be read: {cause}"
            raise UnreadableTemplate(message, "let us read the file") from error
        if len(content) > LARGEST_FILE_BYTES:
            message = (
                f"the template `{name}` has more than {LONGEST_TEMPLATE // 1024} Ki characters"
            )
            raise UnreadableTemplate(message, "make it shorter")
        try:
            return TemplateFile(content.decode("utf-8"), str(path))
        except UnicodeDecodeError as error:
            message = f"the template `{name}` is no text in UTF-8"
            raise UnreadableTemplate(message, "save the file as UTF-8") from error

    def _checked(self, name: str) -> PurePosixPath:
        path = PurePosixPath(name)
        if path.is_absolute():
            message = f"the path of the template `{name}` begins at the root of the machine"
            raise UnreadableTemplate(message, "write it relative to the document's file")
        if "\x00" in name or "\\" in name:
            message = f"the path of the template {name!r} is none"
            raise UnreadableTemplate(message, "write it with `/`, such as texts/comment.md.jinja")
        return path

    def _near(self, name: str) -> str | None:
        """Say which file was probably meant: one beside it, or of the same name further in."""
        wanted = PurePosixPath(name)
        beside = (self._folder / wanted.parent).glob("*")
        files = [*beside, *self._folder.glob(f"*/{wanted.name}")][:MOST_COMPARED]
        known = [str(file.relative_to(self._folder)) for file in files if file.is_file()]
        hint = did_you_mean(name, known)
        return hint if hint is not None and hint.startswith("did you mean") else None
