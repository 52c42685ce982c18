"""What the expressions of a template give: an interpreter whose every step is paid for.

Nothing of a template becomes Python code, and a value meets nothing but the operations of
`template_values` and the words of `template_words`. Statements are in `template_rendering`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from schemas.events import Json
from service.workflows.functions import to_text
from service.workflows.template_budget import Budget, Fault
from service.workflows.template_syntax import keywords
from service.workflows.template_values import (
    ABSENT,
    Frame,
    Loop,
    MacroValue,
    Missing,
    Namespace,
    add,
    calculate,
    checked,
    compares,
    is_number,
    kind,
    plain,
    read_field,
    slice_of,
)
from service.workflows.template_words import TESTS, WORDS, apply


class Expressions(ABC):
    """The expressions of one rendering. `line` is where it is, for whoever says where it failed.

    `known`: the names that exist at all, for hints.
    """

    def __init__(self, bindings: Mapping[str, Json], known: frozenset[str]) -> None:
        self.budget = Budget()
        self.line = 1
        self.known = known
        self.scope = Frame(dict(bindings))

    @abstractmethod
    def invoke(
        self, macro: MacroValue, call: nodes.Call, frame: Frame, caller: MacroValue | None
    ) -> str:
        """Give the text that a macro makes of the arguments of a call."""

    @abstractmethod
    def deeper(self, loop: Loop, node: nodes.Call, frame: Frame) -> str:
        """Perform a `for … recursive` for the elements of an element."""

    def value(self, node: nodes.Node, frame: Frame) -> Json:
        """Give the value of an expression, which must exist and be JSON."""
        found = self.raw(node, frame)
        if type(found) in _SURELY_PLAIN:
            return found
        self.line = node.lineno
        return plain(found)

    def raw(self, node: nodes.Node, frame: Frame) -> Any:
        """Give what an expression stands for: a value, or something that is none."""
        self.budget.enter()
        self.line = node.lineno
        found = _EXPRESSIONS[type(node)](self, node, frame)
        self.budget.leave()
        return found

    def shown(self, value: Json) -> str:
        """Give a value as it is printed."""
        if isinstance(value, str):
            return value
        if isinstance(value, list | tuple | Mapping):
            self.budget.handle([value])
        return to_text(value)

    def name(self, node: nodes.Name, frame: Frame) -> Any:
        """Give what a name stands for."""
        found = frame.find(node.name)
        if found is not ABSENT:
            return found
        if node.name in WORDS:
            return Missing(f"`{node.name}` is a function and needs its arguments")
        return Missing(f"there is no `{node.name}` here", node.name, self.known)

    def constant(self, node: nodes.Const, _frame: Frame) -> Json:
        """Give a value that is written out."""
        value: Json = node.value
        return value

    def list_(self, node: nodes.List | nodes.Tuple, frame: Frame) -> Json:
        """Give `[a, b]`, also for `(a, b)`."""
        return [self.value(item, frame) for item in node.items]

    def map_(self, node: nodes.Dict, frame: Frame) -> Json:
        """Give `{'key': value}`."""
        found: dict[str, Json] = {}
        for pair in node.items:
            key = self.value(pair.key, frame)
            if not isinstance(key, str):
                message = f"the key of a map is a text, not {kind(key)}"
                raise Fault(message)
            found[key] = self.value(pair.value, frame)
        return found

    def condition(self, node: nodes.CondExpr, frame: Frame) -> Any:
        """Give `a if test else b`; null without an `else`."""
        if self.value(node.test, frame):
            return self.raw(node.expr1, frame)
        return None if node.expr2 is None else self.raw(node.expr2, frame)

    def filter_(self, node: nodes.Filter, frame: Frame) -> Json:
        """Give `value | filter`."""
        value = None if node.node is None else self.raw(node.node, frame)
        return self.filtered(node, frame, value)

    def filtered(self, node: nodes.Filter, frame: Frame, value: Any) -> Json:
        """Give what a filter makes of a value."""
        arguments, named = self.arguments(node, frame)
        return apply(WORDS, node.name, [value, *arguments], named, self.budget)

    def through(self, node: nodes.Filter, frame: Frame, text: Json) -> Json:
        """Give what the filters of a `filter` or `set` tag make of the text between the tags."""
        if isinstance(node.node, nodes.Filter):
            text = self.through(node.node, frame, text)
        return self.filtered(node, frame, text)

    def test(self, node: nodes.Test, frame: Frame) -> Json:
        """Give `value is test`."""
        value = self.raw(node.node, frame)
        arguments, named = self.arguments(node, frame)
        return apply(TESTS, node.name, [value, *arguments], named, self.budget)

    def arguments(
        self, node: nodes.Filter | nodes.Test | nodes.Call, frame: Frame
    ) -> tuple[list[Any], dict[str, Any]]:
        """Give the arguments of a call, by place and by name."""
        arguments = [self.raw(argument, frame) for argument in node.args]
        named = {keyword.key: self.raw(keyword.value, frame) for keyword in keywords(node)}
        self.line = node.lineno
        return arguments, named

    def call(self, node: nodes.Call, frame: Frame) -> Any:
        """Give what a function, macro or `loop(…)` gives."""
        callee = node.node
        if isinstance(callee, nodes.Getattr):
            return self.cycle(node, frame)
        name = callee.name if isinstance(callee, nodes.Name) else ""
        known = frame.find(name)
        if isinstance(known, MacroValue):
            return self.invoke(known, node, frame, None)
        if isinstance(known, Loop) and name == "loop":
            return self.deeper(known, node, frame)
        if isinstance(known, Missing):
            plain(known)
        arguments, named = self.arguments(node, frame)
        if name == "namespace":
            return Namespace({key: plain(value) for key, value in named.items()})
        if name not in WORDS:
            message = f"`{name}` cannot be called here"
            raise Fault(message, "a macro is defined before it is called")
        return apply(WORDS, name, arguments, named, self.budget)

    def cycle(self, node: nodes.Call, frame: Frame) -> Any:
        """Give `loop.cycle('a', 'b')`."""
        loop = frame.find("loop")
        arguments, named = self.arguments(node, frame)
        if not isinstance(loop, Loop) or not arguments or named:
            raise Fault("`loop.cycle('a', 'b')` stands inside a `for`")
        return arguments[loop.at % len(arguments)]

    def field(self, node: nodes.Getattr, frame: Frame) -> Any:
        """Give `value.field`."""
        found = self.raw(node.node, frame)
        if type(found) is dict and node.attr in found:
            return found[node.attr]
        self.line = node.lineno
        return read_field(found, node.attr, _written(node))

    def element(self, node: nodes.Getitem, frame: Frame) -> Any:
        """Give `value['field']`, `value[0]` or `value[1:]`."""
        found = self.raw(node.node, frame)
        if isinstance(node.arg, nodes.Slice):
            ends = (node.arg.start, node.arg.stop, node.arg.step)
            start, stop, step = (None if end is None else self.value(end, frame) for end in ends)
            return slice_of(plain(found), (start, stop, step), self.budget)
        key = self.value(node.arg, frame)
        self.line = node.lineno
        return read_field(found, key, _written(node))

    def concat(self, node: nodes.Concat, frame: Frame) -> Json:
        """Give `a ~ b`."""
        texts = [self.shown(self.value(part, frame)) for part in node.nodes]
        self.budget.text(sum(map(len, texts)))
        return "".join(texts)

    def compare(self, node: nodes.Compare, frame: Frame) -> Json:
        """Give `a < b <= c`: whether all of it holds."""
        left = self.value(node.expr, frame)
        for operand in node.ops:
            right = self.value(operand.expr, frame)
            self.line = node.lineno
            if not compares(operand.op, left, right, self.budget):
                return False
            left = right
        return True

    def and_(self, node: nodes.And, frame: Frame) -> Any:
        """Give `a and b`: b where a holds."""
        left = self.value(node.left, frame)
        return self.value(node.right, frame) if left else left

    def or_(self, node: nodes.Or, frame: Frame) -> Any:
        """Give `a or b`: b where a does not hold."""
        left = self.value(node.left, frame)
        return left or self.value(node.right, frame)

    def not_(self, node: nodes.Not, frame: Frame) -> Json:
        """Give `not a`."""
        return not self.value(node.node, frame)

    def negative(self, node: nodes.Neg, frame: Frame) -> Json:
        """Give `-a`."""
        return calculate("-", 0, self.value(node.node, frame))

    def positive(self, node: nodes.Pos, frame: Frame) -> Json:
        """Give `+a`."""
        value = self.value(node.node, frame)
        return checked(value) if is_number(value) else calculate("+", 0, value)

    def plus(self, node: nodes.Add, frame: Frame) -> Json:
        """Give `a + b`."""
        left, right = self.value(node.left, frame), self.value(node.right, frame)
        self.line = node.lineno
        return add(left, right, self.budget)

    def sign(self, node: nodes.BinExpr, frame: Frame) -> Json:
        """Give what another sign makes of two numbers."""
        left, right = self.value(node.left, frame), self.value(node.right, frame)
        self.line = node.lineno
        return calculate(node.operator, left, right)


_SURELY_PLAIN = frozenset({str, int, float, bool, list, dict, type(None)})

_EXPRESSIONS: Mapping[type[nodes.Node], Callable[[Expressions, Any, Frame], Any]] = {
    nodes.Name: Expressions.name,
    nodes.Const: Expressions.constant,
    nodes.List: Expressions.list_,
    nodes.Tuple: Expressions.list_,
    nodes.Dict: Expressions.map_,
    nodes.CondExpr: Expressions.condition,
    nodes.Filter: Expressions.filter_,
    nodes.Test: Expressions.test,
    nodes.Call: Expressions.call,
    nodes.Getattr: Expressions.field,
    nodes.Getitem: Expressions.element,
    nodes.Concat: Expressions.concat,
    nodes.Compare: Expressions.compare,
    nodes.And: Expressions.and_,
    nodes.Or: Expressions.or_,
    nodes.Not: Expressions.not_,
    nodes.Neg: Expressions.negative,
    nodes.Pos: Expressions.positive,
    nodes.Add: Expressions.plus,
    **dict.fromkeys(
        (nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow), Expressions.sign
    ),
}


def _written(node: nodes.Node) -> str:
    """Give a chain of fields as the template has it: `event.facts.url`."""
    match node:
        case nodes.Name(name=name):
            return name
        case nodes.Getattr(node=inner, attr=attr):
            return f"{_written(inner)}.{attr}"
        case nodes.Getitem(node=inner, arg=nodes.Const(value=value)):
            return f"{_written(inner)}[{value!r:.80}]"
        case nodes.Getitem(node=inner):
            return f"{_written(inner)}[…]"
    return "…"
