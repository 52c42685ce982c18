"""From the text of a template to a checked tree: the parser is Jinja's, the language a part of it.

Only Jinja's lexer and parser are used. No Python code is made of a template: what may be done is
what `template_rendering` performs, so a word or tag that is not listed here does not exist.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from service.workflows.expressions import ExpressionError
from service.workflows.findings import did_you_mean
from service.workflows.template_budget import Fault
from service.workflows.template_values import LOOP_FIELDS, checked
from service.workflows.template_words import TESTS, WORDS, Word, misuse

LONGEST_TEMPLATE = 64 * 1024
"""Characters of one template."""
DEEPEST_BRACKETS = 20
DEEPEST_TREE = 60
"""Tags and expressions inside one another, as they are written."""
MAKERS = frozenset({"namespace"})
"""Functions that give no JSON: they stand in `set` and nowhere else."""
_CALLABLE_BY_TAGS = frozenset({"loop", "caller"})
_NAMING: Mapping[str, tuple[Mapping[str, Word], int]] = {
    "map": (WORDS, 0),
    **dict.fromkeys(("select", "reject"), (TESTS, 0)),
    **dict.fromkeys(("selectattr", "rejectattr"), (TESTS, 1)),
}
"""Filters that are given the name of another word, and the place of the name."""
_OPENING = frozenset({"lparen", "lbracket", "lbrace"})
_CLOSING = frozenset({"rparen", "rbracket", "rbrace"})

_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Extends: "extends",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from … import",
    nodes.Block: "block",
    nodes.ScopedEvalContextModifier: "autoescape",
}
_KNOWN: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.With),
    *(nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.Assign, nodes.AssignBlock),
    *(nodes.Name, nodes.NSRef, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair),
    *(nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem),
    *(nodes.Getattr, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.And),
    *(nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div),
    *(nodes.FloorDiv, nodes.Mod, nodes.Pow),
)


class TemplateError(ExpressionError):
    """A template cannot be compiled or rendered.

    `fault` is the sentence alone, `message` has the template's name and the line before it; `line`
    counts from 1, `source` is the text of the template and `offset` where its line begins.
    """

    code = "template"

    def __init__(
        self, fault: str, *, name: str, text: str, line: int, hint: str | None = None
    ) -> None:
        """Keep the sentence, the place and what was probably meant."""
        starts = line_starts(text)
        offset = starts[min(line, len(starts)) - 1]
        super().__init__(f"{name}:{line}: {fault}", source=text, offset=offset, hint=hint)
        self.fault = fault
        self.template = name
        self.line = line


class _Wrong(Exception):  # noqa: N818  # becomes a TemplateError where the text is known
    def __init__(self, fault: str, line: int, hint: str | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.line = line
        self.hint = hint


def line_starts(text: str) -> list[int]:
    """Give where each line begins, in characters from 0, as the parser counts lines."""
    return [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text))]


def targets(target: nodes.Node) -> set[str]:
    """Give the names that `set`, `for` or `with` sets by this target."""
    if isinstance(target, nodes.Name):
        return {target.name}
    return {name.name for name in target.find_all(nodes.Name)}


def keywords(node: nodes.Filter | nodes.Test | nodes.Call) -> list[nodes.Keyword]:
    """Give the arguments that are written with a name."""
    return [pair for pair in node.kwargs if isinstance(pair, nodes.Keyword)]


def parse_template(text: str, name: str) -> nodes.Template:
    """Give the tree of a template, with nothing in it that could not be performed.

    Raises TemplateError.
    """
    line, hint = 1, None
    try:
        _check_length(text)
        _check_characters(text, 1)
        tree = _ENVIRONMENT.parse(text)
        _check(tree)
    except _Wrong as error:
        fault, line, hint = error.fault, error.line, error.hint
    except TemplateSyntaxError as error:
        fault, line = _sentence(error.message or "it cannot be read"), error.lineno
    except RecursionError:
        fault = "it is nested too deeply"
    except (ValueError, OverflowError, MemoryError, RuntimeError):
        # The lexer lets these out, for instance for a number of 5,000 digits.
        fault = "it holds a number or text that cannot be read"
    else:
        return tree
    raise TemplateError(fault, name=name, text=text[:LONGEST_TEMPLATE], line=line, hint=hint)


def _sentence(message: str) -> str:
    message = message.removesuffix(".")
    if message.startswith("Encountered unknown tag"):
        tag = message.split("'")[1] if "'" in message else ""
        return f"there is no tag `{tag}`"
    return message[:1].lower() + message[1:]


# --- what the text may hold -----------------------------------------------------------------------


class _Tokens(Extension):
    """Leaves nothing of lines that hold only tags, and refuses deeply nested brackets.

    Such a line would otherwise stay as an empty one, which ends lists and tables of Markdown.
    """

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        """Give the tokens the parser sees."""
        return _without_tag_lines(_with_limited_brackets(stream))


def _with_limited_brackets(stream: Iterable[Token]) -> Iterator[Token]:
    depth = 0
    for token in stream:
        if token.type in _OPENING:
            depth += 1
            if depth > DEEPEST_BRACKETS:
                fault = f"brackets are nested more than {DEEPEST_BRACKETS} deep"
                raise _Wrong(fault, token.lineno)
        elif token.type in _CLOSING:
            depth -= 1
        yield token


def _without_tag_lines(stream: Iterable[Token]) -> Iterator[Token]:
    is_blank, has_tag = True, False
    for token in stream:
        if token.type == "data":
            value = str(token.value)
            head, newline, rest = value.partition("\n")
            # Comments and `raw` leave no token, so data may follow data: a tag was between them.
            if newline and is_blank and has_tag and not head.strip(" \t"):
                value = rest
                is_blank = True
            last = value.rpartition("\n")[2]
            is_blank = not last.strip(" \t") if "\n" in value else is_blank and not last.strip()
            has_tag = True
            yield Token(token.lineno, "data", value)
        else:
            if token.type == "variable_begin":
                is_blank = False
            has_tag = True
            yield token


_ENVIRONMENT = Environment(  # noqa: S701  # it only parses; nothing is HTML here (see templates.py)
    lstrip_blocks=True, extensions=[_Tokens]
)


def _check_length(text: str) -> None:
    if len(text) > LONGEST_TEMPLATE:
        fault = f"a template has at most {LONGEST_TEMPLATE} characters, not {len(text)}"
        raise _Wrong(fault, 1)


def _check_characters(text: str, line: int) -> None:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        fault = "it holds a character that no text may hold (NUL, or half of a surrogate pair)"
        raise _Wrong(fault, line)


# --- what the tree may hold -----------------------------------------------------------------------


def _check(tree: nodes.Template) -> None:
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    _Check(macros).visit(tree, 0, 1)


class _Check:
    def __init__(self, macros: set[str]) -> None:
        self.macros = macros

    def visit(self, node: nodes.Node, depth: int, line: int) -> None:
        # The parser leaves some nodes without a line.
        node.lineno = line = node.lineno or line
        if depth > DEEPEST_TREE:
            fault = f"tags and expressions are nested more than {DEEPEST_TREE} deep"
            raise _Wrong(fault, line)
        if type(node) in _REFUSED:
            hint = "a template is one file; use a macro for what is repeated"
            raise _Wrong(f"`{_REFUSED[type(node)]}` cannot be used here", line, hint)
        if type(node) not in _KNOWN:
            raise _Wrong("this cannot be used here", line)
        self._words(node)
        self._names(node)
        if isinstance(node, nodes.Const):
            _check_constant(node.value, line)
        for child in node.iter_child_nodes():
            self.visit(child, depth + 1, line)

    def _words(self, node: nodes.Node) -> None:
        match node:
            case nodes.Filter():
                # One without a value stands at a `filter` or `set` tag and takes the tag's text.
                self._word(node, node.name, WORDS, 1)
                _check_named_word(node)
            case nodes.Test():
                self._word(node, node.name, TESTS, 1)
            case nodes.Call():
                self._call(node)

    def _names(self, node: nodes.Node) -> None:
        match node:
            case nodes.Getattr(node=nodes.Name(name="loop"), attr=attr):
                self._loop_field(node, attr)
            case nodes.Name(name="self" | "super" | "varargs" | "kwargs"):
                raise _Wrong(f"`{node.name}` cannot be used here", node.lineno)
            case nodes.For() | nodes.Assign() | nodes.AssignBlock():
                _check_names(sorted(targets(node.target)), node.lineno)
            case nodes.Macro():
                names = [node.name, *(argument.name for argument in node.args)]
                _check_names(names, node.lineno)
            case nodes.CallBlock():
                _check_names([argument.name for argument in node.args], node.lineno)

    def _word(
        self,
        node: nodes.Filter | nodes.Test | nodes.Call,
        name: str,
        words: Mapping[str, Word],
        before: int,
    ) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise _Wrong("arguments are written one by one, without `*`", node.lineno)
        named = [keyword.key for keyword in keywords(node)]
        wrong = misuse(words, name, len(node.args) + before, named)
        if wrong is not None:
            raise _Wrong(str(wrong), node.lineno, wrong.hint)

    def _call(self, node: nodes.Call) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise _Wrong("arguments are written one by one, without `*`", node.lineno)
        match node.node:
            case nodes.Getattr(node=nodes.Name(name="loop"), attr="cycle"):
                return
            case nodes.Name(name=name) if name in self.macros or name in _CALLABLE_BY_TAGS:
                return
            case nodes.Name(name=name) if name in MAKERS:
                if node.args:
                    raise _Wrong("`namespace` takes `name=value`", node.lineno)
                return
            case nodes.Name(name=name):
                if name not in WORDS:
                    hint = did_you_mean(name, {*WORDS, *self.macros, *MAKERS})
                    raise _Wrong(f"there is no function `{name}`", node.lineno, hint)
                self._word(node, name, WORDS, 0)
            case nodes.Getattr(attr=attr) if attr in WORDS:
                raise _Wrong("values have no methods", node.lineno, f"write `value | {attr}`")
            case _:
                fault = "only functions and macros can be called; values have no methods"
                raise _Wrong(fault, node.lineno)

    def _loop_field(self, node: nodes.Node, attr: str) -> None:
        if attr not in LOOP_FIELDS and attr != "cycle":
            hint = did_you_mean(attr, {*LOOP_FIELDS, "cycle"})
            raise _Wrong(f"`loop` has no `{attr}`", node.lineno, hint)


def _check_named_word(node: nodes.Filter) -> None:
    """Check the filter of `map('upper')` and the test of `selectattr('a', 'eq', 1)`."""
    words, place = _NAMING.get(node.name, (WORDS, len(node.args)))
    named = node.args[place : place + 1]
    if named and isinstance(named[0], nodes.Const) and isinstance(named[0].value, str):
        wrong = misuse(words, named[0].value, len(node.args) - place, ())
        if wrong is not None:
            raise _Wrong(str(wrong), node.lineno, wrong.hint)


def _check_constant(value: object, line: int) -> None:
    if isinstance(value, str):
        _check_characters(value, line)
    elif isinstance(value, int | float):
        if isinstance(value, float) and not math.isfinite(value):
            raise _Wrong("the number is too large", line)
        try:
            checked(value)
        except Fault as error:
            raise _Wrong(str(error), line) from error


def _check_names(names: list[str], line: int) -> None:
    for name in names:
        if name in _CALLABLE_BY_TAGS:
            raise _Wrong(f"`{name}` has a meaning of its own and cannot be set", line)
