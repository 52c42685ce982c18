"""YAML 1.2 text as plain values, with the place of every value and key.

Read from the parser's events, without recursion, under limits: size, depth, number of nodes and of
aliases. Scalars follow the core schema of YAML 1.2 (§10.3), so that `on` and `yes` are texts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from schemas.events import Json

MOST_BYTES = 256 * 1024
MOST_NODES = 20_000
"""Values of a document, each counted as often as aliases repeat it."""
MOST_ALIASES = 50
DEEPEST = 24

_SMALLER = "make several workflows of it; one can `call` another"
_FLATTER = "give a name to what is inside and move it out"
_BEGIN = "begin with `name: …`, `on: …` and `steps: …`, each on a line of its own"
_UNTAGGED = "leave the tag out; quotes make a text of any value"
_TEXT = "a document is plain text in UTF-8"

Path = tuple[str | int, ...]

_INTEGERS_END = 2**63
_STRING_TAGS = {None, "!", "tag:yaml.org,2002:str"}
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MOST_DIGITS = 30


class YamlFault(ValueError):  # noqa: N818  # one fault of the text, kept with others
    """The text cannot be read; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int, hint: str | None = None) -> None:
        """Keep the sentence, the place and what to do."""
        super().__init__(message)
        self.line = line
        self.column = column
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, in lines and columns from 1, and its key (the same in a list).

    `style` is `|`, `>`, a quote or None. `last_line` is where the value ends.
    """

    line: int
    column: int
    key_line: int
    key_column: int
    style: str | None = None
    last_line: int = 0


@dataclass(slots=True)
class _Node:
    line: int
    column: int
    kind: str
    value: Json = None
    style: str | None = None
    last_line: int = 0
    entries: list[tuple[_Node, _Node]] = field(default_factory=list)
    items: list[_Node] = field(default_factory=list)
    key: _Node | None = None
    anchor: str | None = None
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class YamlTree:
    """A document's plain values, the places of its values by path, and the text itself."""

    value: Json
    places: dict[Path, Place]
    lines: tuple[str, ...]

    def place(self, path: Path) -> Place:
        """Give the place of the value, or of the nearest one around it."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def point(self, path: Path, text: str, offset: int) -> tuple[int, int]:
        """Give line and column of a character of a text value, as near as its style allows."""
        place = self.place(path)
        if path not in self.places:
            return place.line, place.column
        if place.style == "|":
            before = text[:offset]
            line = place.line + 1 + before.count("\n")
            content = text.split("\n")[before.count("\n")]
            raw = self.lines[line - 1] if line <= len(self.lines) else ""
            return line, max(raw.find(content), 0) + offset - (before.rfind("\n") + 1) + 1
        if place.last_line != place.line:
            return place.line, place.column
        return place.line, place.column + (1 if place.style else 0) + offset


def read_yaml(text: str) -> YamlTree:
    """Read one document. Raises YamlFault at the first place that cannot be understood."""
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise YamlFault(f"a document has at most {MOST_BYTES // 1024} KiB", 1, 1, _SMALLER)
    try:
        composer = _Composer()
        for event in YAML(typ="safe", pure=True).parse(text):
            composer.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = error.problem or error.context or "it cannot be read"
        raise YamlFault(f"this is no YAML: {problem}", line, column, _yaml_hint(problem)) from error
    except (YAMLError, ValueError, OverflowError) as error:
        if isinstance(error, YamlFault):
            raise
        raise YamlFault(f"this is no YAML: {str(error).splitlines()[0]}", 1, 1, _TEXT) from error
    if composer.root is None:
        raise YamlFault("the document is empty", 1, 1, _BEGIN)
    places: dict[Path, Place] = {}
    return YamlTree(_plain(composer.root, places), places, tuple(text.splitlines()))


def _too_deep(line: int, column: int) -> YamlFault:
    return YamlFault(f"it is nested more than {DEEPEST} deep", line, column, _FLATTER)


def _yaml_hint(problem: str) -> str:
    if "\\t" in problem:
        return "indent with spaces; YAML takes no tabs"
    if "cannot start any token" in problem:
        return "put a text that begins with this character between quotes"
    if "found '<scalar>'" in problem:
        return (
            "a quote in the text ends it; put a text with quotes between the other kind of quotes"
        )
    if "mapping values are not allowed" in problem:
        return "put a text that holds a colon or begins with `{` between quotes"
    return (
        "look here and just before for a line that is indented otherwise than its neighbours, "
        "and for a bracket or quote that is not closed"
    )


class _Composer:
    """Builds the tree of the one document from the parser's events."""

    def __init__(self) -> None:
        self.root: _Node | None = None
        self._open: list[_Node] = []
        self._anchors: dict[str, _Node] = {}
        self._aliases = 0

    def take(self, event: Any) -> None:
        """Take the next event. Raises YamlFault."""
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        match type(event).__name__:
            case "DocumentStartEvent":
                self._start(event, line, column)
            case "MappingEndEvent" | "SequenceEndEvent":
                self._close()
            case "AliasEvent":
                self._add(self._aliased(event, line, column), line, column)
            case "ScalarEvent":
                node = _scalar_node(event, line, column)
                if node.anchor is not None:
                    self._anchors[node.anchor] = node
                self._add(node, line, column)
            case "MappingStartEvent" | "SequenceStartEvent" as kind:
                node = _collection_node(event, kind, line, column)
                self._add(node, line, column)
                self._open.append(node)
                if len(self._open) > DEEPEST:
                    raise YamlFault(
                        f"it is nested more than {DEEPEST} deep", line, column, _FLATTER
                    )
            case _:  # the ends of the document and of the stream
                pass

    def _start(self, event: Any, line: int, column: int) -> None:
        if self.root is not None:
            hint = "put it into a file of its own, without `---`"
            message = "a file holds one document; a second one begins here"
            raise YamlFault(message, line, column, hint)
        if event.version not in {None, (1, 2)}:
            raise YamlFault("only YAML 1.2 is read", line, column, "leave the line `%YAML` out")

    def _close(self) -> None:
        closed = self._open.pop()
        # An anchor counts once its node is complete, so that no value can contain itself.
        if closed.anchor is not None:
            self._anchors[closed.anchor] = closed

    def _aliased(self, event: Any, line: int, column: int) -> _Node:
        self._aliases += 1
        if self._aliases > MOST_ALIASES:
            message = f"a document has at most {MOST_ALIASES} aliases"
            raise YamlFault(message, line, column, "write the value out")
        if event.anchor not in self._anchors:
            message = f"there is no anchor `{event.anchor}` before this"
            hint = (
                f"name the value first, with `&{event.anchor}`; quote a text that begins with `*`"
            )
            raise YamlFault(message, line, column, hint)
        return self._anchors[event.anchor]

    def _add(self, node: _Node, line: int, column: int) -> None:
        if self._open:
            _put(self._open[-1], node, line, column)
        else:
            self.root = node


def _collection_node(event: Any, kind: str, line: int, column: int) -> _Node:
    tag = None if event.tag is None else str(event.tag)
    if tag not in {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
        raise YamlFault(f"the tag {tag} is not understood here", line, column, _UNTAGGED)
    return _Node(line, column, kind.removesuffix("StartEvent").lower(), anchor=event.anchor)


def _scalar_node(event: Any, line: int, column: int) -> _Node:
    tag = None if event.tag is None else str(event.tag)
    if tag not in _STRING_TAGS:
        raise YamlFault(f"the tag {tag} is not understood here", line, column, _UNTAGGED)
    style = event.style or None
    value = event.value if style or tag else _scalar(event.value, line, column)
    last_line = event.end_mark.line + 1
    is_empty = not (style or event.value)
    return _Node(
        line, column, "scalar", value, style, last_line, anchor=event.anchor, is_empty=is_empty
    )


def _scalar(text: str, line: int, column: int) -> Json:
    if _NULL.fullmatch(text):
        return None
    if boolean := _BOOLEAN.fullmatch(text):
        return boolean[1] is not None
    if _INTEGER.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        number = int(text, base) if len(text) < _MOST_DIGITS else _INTEGERS_END
        if abs(number) >= _INTEGERS_END:
            raise YamlFault("the number does not fit into 64 bits", line, column, "quote it")
        return number
    if _FLOAT.fullmatch(text):
        value = float(text) if len(text) < _MOST_DIGITS else math.inf
        if math.isfinite(value):
            return value
    elif not _NOT_FINITE.fullmatch(text):
        return text
    raise YamlFault("the number is not finite", line, column, "quote it if it is a text")


def _put(parent: _Node, node: _Node, line: int, column: int) -> None:
    if parent.kind == "sequence":
        parent.items.append(node)
        return
    if parent.key is not None:
        parent.entries.append((parent.key, node))
        parent.key = None
        return
    if node.kind != "scalar" or not isinstance(node.value, str):
        # Readers of YAML 1.1 make `true` of `on`, and write it as that.
        is_on = node.kind == "scalar" and node.value is True
        hint = "write `on:`, or put it between quotes" if is_on else "put it between quotes"
        raise YamlFault("a key must be a text", line, column, hint)
    if any(key.value == node.value for key, _ in parent.entries):
        hint = "keep one of them; a list of values begins each with `- `"
        raise YamlFault(f"the key `{node.value}` is given twice", line, column, hint)
    parent.key = node


def _plain(root: _Node, places: dict[Path, Place]) -> Json:
    """Turn the tree into plain values and note every place."""
    budget = MOST_NODES

    def turn(node: _Node, path: Path, key: _Node) -> Json:
        nonlocal budget
        budget -= 1
        if budget < 0:
            message = f"a document has at most {MOST_NODES} values"
            raise YamlFault(message, key.line, key.column, _SMALLER)
        if len(path) > DEEPEST:
            raise _too_deep(key.line, key.column)
        # A value that is not written stands, for the parser, wherever the next thing begins.
        stands = key if node.is_empty else node
        places[path] = Place(
            stands.line, stands.column, key.line, key.column, node.style, node.last_line
        )
        if node.kind == "mapping":
            return {
                str(name.value): turn(item, (*path, str(name.value)), name)
                for name, item in node.entries
            }
        if node.kind == "sequence":
            return [turn(item, (*path, at), item) for at, item in enumerate(node.items)]
        return node.value

    return turn(root, (), root)
