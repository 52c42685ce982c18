"""The syntax of a CEL expression, as a tree.

The `cel` library compiles and evaluates; it shows nobody its tree. We read the same text again to
know, before anything runs, which names an expression uses and how much work it can cause. What
this reader does not know is refused, so an expression never does more than was checked.
Grammar: the CEL language definition (cel-spec, doc/langdef.md, "Syntax"), without messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

DEEPEST = 32
"""Nesting of brackets and conditions."""
TALLEST = 100
"""Height of the tree, so that whoever walks it needs no deeper stack."""
_DIGITS = 19
"""So many always fit into 64 bits."""
_QUOTES = {"'", '"'}
_TRIPLES = {"'''", '"""'}
MACROS = ("all", "exists", "exists_one", "map", "filter")


class ExpressionSyntaxError(ValueError):
    """The text is no expression; `offset` is where, in characters from 0."""

    def __init__(self, message: str, offset: int) -> None:
        """Keep the sentence and the place."""
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, text, bytes, boolean or null.

    `text` is the content when it is a plain text, `number` the value when it is written in digits.
    """

    offset: int
    size: int
    text: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier."""

    offset: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`; `tested` inside `has(…)`."""

    offset: int
    operand: Node
    field: str
    tested: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """`operand[index]`."""

    offset: int
    operand: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`, or an operator under its own sign. A receiver is an argument.

    `spans`: where each operand of an operator between operands begins and ends in the source,
    brackets around it included. `is_method`: it is written behind its receiver.
    """

    offset: int
    function: str
    arguments: tuple[Node, ...]
    spans: tuple[tuple[int, int], ...] = field(default=(), compare=False)
    is_method: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Macro:
    """`operand.map(variable, bodies…)` and its like: the bodies are evaluated per element."""

    offset: int
    function: str
    operand: Node
    variable: str
    bodies: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """A list, or a map whose keys and values alternate."""

    offset: int
    items: tuple[Node, ...]


Node = Literal | Name | Select | Index | Call | Macro | Collection

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<text>(?:[rR]?[bB]?|[bB][rR])(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}
      |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?[uU]?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_PRECEDENCE = (("||",), ("&&",), ("<", "<=", ">", ">=", "==", "!=", "in"), ("+", "-"))
_TIGHTEST = ("*", "/", "%")
_LEVELS = (*_PRECEDENCE, _TIGHTEST)


class _Token(NamedTuple):
    kind: str
    text: str
    offset: int


def parse(source: str) -> Node:
    """Give the tree of an expression. Raises ExpressionSyntaxError."""
    return _Reader(source).whole()


def children(node: Node) -> tuple[Node, ...]:
    """Give the parts a node is made of, from left to right."""
    match node:
        case Select(operand=operand):
            return (operand,)
        case Index(operand=operand, index=index):
            return (operand, index)
        case Call(arguments=arguments):
            return arguments
        case Macro(operand=operand, bodies=bodies):
            return (operand, *bodies)
        case Collection(items=items):
            return items
        case _:
            return ()


def _tokens(source: str) -> Iterator[_Token]:
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise ExpressionSyntaxError(f"{source[position]!r} is not expected here", position)
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match[0], position)
        position = match.end()
    yield _Token("end", "", len(source))


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, source: str) -> None:
        self._tokens = list(_tokens(source))
        self._at = 0
        self._depth = 0
        # Heights by id: the nodes are kept with them, so that no id is given a second time.
        self._made: dict[int, tuple[int, Node]] = {}

    def whole(self) -> Node:
        node = self._expression()
        if self._peek().kind != "end":
            self._refuse()
        return node

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _end(self) -> int:
        """Give where the token before this one ends."""
        last = self._tokens[self._at - 1]
        return last.offset + len(last.text)

    def _accept(self, text: str) -> _Token | None:
        token = self._peek()
        if token.text == text and token.kind in {"sign", "name"}:
            return self._next()
        return None

    def _expect(self, text: str) -> _Token:
        return self._accept(text) or self._refuse(f"{text!r} is expected")

    def _refuse(self, message: str | None = None) -> _Token:
        token = self._peek()
        found = repr(token.text) if token.text else "the end of the expression"
        raise ExpressionSyntaxError(
            f"{message}, not {found}" if message else f"{found} is not expected here", token.offset
        )

    def _make(self, node: Node) -> Node:
        height = 1 + max((self._made[id(part)][0] for part in children(node)), default=0)
        if height > TALLEST:
            raise ExpressionSyntaxError("the expression is nested too deeply", node.offset)
        self._made[id(node)] = (height, node)
        return node

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ExpressionSyntaxError("the expression is nested too deeply", self._peek().offset)
        node = self._binary(0)
        if question := self._accept("?"):
            yes = self._binary(0)
            self._expect(":")
            node = self._make(Call(question.offset, "?:", (node, yes, self._expression())))
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        begin = self._peek().offset
        node = self._binary(level + 1)
        while self._peek().text in _LEVELS[level] and self._peek().kind in {"sign", "name"}:
            left: tuple[Node, ...] = (node,)
            spans: tuple[tuple[int, int], ...] = ((begin, self._end()),)
            token = self._next()
            right_begin = self._peek().offset
            right = self._binary(level + 1)
            # A long chain of one operator is one node, not as many levels as it has links.
            if isinstance(node, Call) and node.function == token.text:
                left, spans = node.arguments, node.spans
            spans = (*spans, (right_begin, self._end()))
            node = self._make(Call(token.offset, token.text, (*left, right), spans))
        return node

    def _unary(self) -> Node:
        signs: list[_Token] = []
        while self._peek().text in {"!", "-"} and self._peek().kind == "sign":
            signs.append(self._next())
        node = self._member()
        for sign in reversed(signs):
            node = self._make(Call(sign.offset, sign.text, (node,)))
        return node

    def _member(self) -> Node:
        node = self._primary()
        while True:
            if dot := self._accept("."):
                name = self._name()
                if self._accept("("):
                    node = self._make(_method(node, name, self._arguments(")")))
                else:
                    node = self._make(Select(dot.offset, node, name.text))
            elif bracket := self._accept("["):
                node = self._make(Index(bracket.offset, node, self._expression()))
                self._expect("]")
            else:
                return node

    def _name(self) -> _Token:
        if self._peek().kind != "name":
            self._refuse("a name is expected")
        return self._next()

    def _arguments(self, closing: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._accept(closing):
            if found:
                self._expect(",")
                if self._accept(closing):
                    break
            found.append(self._expression())
        return tuple(found)

    def _primary(self) -> Node:
        token = self._peek()
        if token.kind in {"text", "number"}:
            return self._make(_literal(self._next()))
        if token.kind == "name":
            return self._make(self._named(self._next()))
        if self._accept("("):
            node = self._expression()
            self._expect(")")
            return node
        if self._accept("["):
            return self._make(Collection(token.offset, self._arguments("]")))
        if self._accept("{"):
            return self._make(Collection(token.offset, self._entries()))
        self._refuse()
        raise AssertionError  # _refuse always raises

    def _named(self, token: _Token) -> Node:
        if token.text in {"true", "false", "null"}:
            return Literal(token.offset, 1)
        if not self._accept("("):
            return Name(token.offset, token.text)
        arguments = self._arguments(")")
        if token.text != "has":
            return Call(token.offset, token.text, arguments)
        if len(arguments) != 1 or not isinstance(arguments[0], Select):
            raise ExpressionSyntaxError("has(…) takes one field, as in has(a.b)", token.offset)
        tested = arguments[0]
        return Select(tested.offset, tested.operand, tested.field, tested=True)

    def _entries(self) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._accept("}"):
            if found:
                self._expect(",")
                if self._accept("}"):
                    break
            found.append(self._expression())
            self._expect(":")
            found.append(self._expression())
        return tuple(found)


def _method(operand: Node, name: _Token, arguments: tuple[Node, ...]) -> Node:
    if name.text not in MACROS:
        return Call(name.offset, name.text, (operand, *arguments), is_method=True)
    most = 3 if name.text == "map" else 2
    if not 2 <= len(arguments) <= most or not isinstance(arguments[0], Name):  # noqa: PLR2004
        message = f"{name.text}(…) takes a name and what to do with it, as in {name.text}(x, x > 1)"
        raise ExpressionSyntaxError(message, name.offset)
    return Macro(name.offset, name.text, operand, arguments[0].name, arguments[1:])


def _literal(token: _Token) -> Literal:
    if token.kind == "number":
        whole = token.text.isdecimal() and len(token.text) < _DIGITS
        return Literal(token.offset, 1, None, int(token.text) if whole else None)
    text = token.text
    content = None
    if text[:1] in {"r", "R"} and text[1] in _QUOTES and text[1:4] not in _TRIPLES:
        content = text[2:-1]
    elif text[0] in _QUOTES and "\\" not in text and text[:3] not in _TRIPLES:
        content = text[1:-1]
    return Literal(token.offset, len(text), content)
