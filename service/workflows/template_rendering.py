"""Performs the statements of a template, and gives its text.

Names behave as in Jinja: what is set inside a loop, macro, `with` or `call` ends with it, what is
set in an `if` stays. Expressions are in `template_expressions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from schemas.events import Json
from service.workflows.template_budget import Fault
from service.workflows.template_expressions import Expressions
from service.workflows.template_values import (
    Frame,
    Loop,
    MacroValue,
    Missing,
    Namespace,
    elements,
    plain,
)

Out = list[str]
_PER_MACRO = 5
"""Units of work for handing arguments over, beside what the macro does."""


class Rendering(Expressions):
    """One rendering: made for it, and thrown away with it."""

    def perform(self, tree: nodes.Template) -> str:
        """Give the text. Raises Fault."""
        return self.captured(tree.body, Frame(outer=self.scope))

    def captured(self, body: list[nodes.Node], frame: Frame) -> str:
        """Give the text that statements make."""
        out: Out = []
        self.block(body, frame, out)
        self.budget.text(sum(map(len, out)))
        return "".join(out)

    def block(self, body: list[nodes.Node], frame: Frame, out: Out) -> None:
        """Perform statements one after another."""
        for node in body:
            self.budget.enter()
            self.line = node.lineno
            _STATEMENTS[type(node)](self, node, frame, out)
            self.budget.leave()

    def output(self, node: nodes.Output, frame: Frame, out: Out) -> None:
        """Print what stands between the tags, and each `{{ … }}`."""
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData):
                text = part.data
            else:
                text = self.shown(self.value(part, frame))
            self.budget.text(len(text))
            out.append(text)

    def for_(self, node: nodes.For, frame: Frame, out: Out) -> None:
        """Perform `for`."""
        self.loop(Loop(node, frame, self.items(node, self.value(node.iter, frame), frame)), out)

    def items(self, node: nodes.For, value: Json, frame: Frame) -> list[Json]:
        """Give what a `for` goes through, without what its `if` leaves out."""
        found = elements(value, self.budget)
        if node.test is None:
            return found
        kept: list[Json] = []
        for item in found:
            inner = Frame(outer=frame)
            self.assign(node.target, item, inner)
            if self.value(node.test, inner):
                kept.append(item)
        return kept

    def loop(self, loop: Loop, out: Out) -> None:
        """Perform the body of a `for` for each element, or its `else`."""
        node = loop.node
        for at, item in enumerate(loop.items):
            loop.at = at
            inner = Frame({"loop": loop}, loop.around)
            self.assign(node.target, item, inner)
            self.block(node.body, inner, out)
        if not loop.items:
            self.block(node.else_, Frame(outer=loop.around), out)

    def if_(self, node: nodes.If, frame: Frame, out: Out) -> None:
        """Perform the first branch that holds."""
        for branch in (node, *node.elif_):
            self.budget.spend(1)
            if self.value(branch.test, frame):
                self.block(branch.body, frame, out)
                return
        self.block(node.else_, frame, out)

    def with_(self, node: nodes.With, frame: Frame, out: Out) -> None:
        """Perform a body with names of its own."""
        inner = Frame(outer=frame)
        for target, value in zip(node.targets, node.values, strict=True):
            self.assign(target, self.raw(value, frame), inner)
        self.block(node.body, inner, out)

    def macro(self, node: nodes.Macro, frame: Frame, _out: Out) -> None:
        """Give a macro its name."""
        frame.names[node.name] = MacroValue(node, node.name, frame)

    def call_block(self, node: nodes.CallBlock, frame: Frame, out: Out) -> None:
        """Perform a macro that is handed the body as `caller`."""
        call = node.call
        self.line = call.lineno
        macro = frame.find(call.node.name) if isinstance(call.node, nodes.Name) else None
        if not isinstance(macro, MacroValue):
            raise Fault("`call` needs a macro that is defined before it")
        out.append(self.invoke(macro, call, frame, MacroValue(node, "caller", frame)))

    def filter_block(self, node: nodes.FilterBlock, frame: Frame, out: Out) -> None:
        """Print a body through filters."""
        text = self.captured(node.body, Frame(outer=frame))
        found = self.shown(self.through(node.filter, frame, text))
        self.budget.text(len(found))
        out.append(found)

    def set_(self, node: nodes.Assign, frame: Frame, _out: Out) -> None:
        """Perform `set name = value`."""
        self.assign(node.target, self.raw(node.node, frame), frame)

    def set_block(self, node: nodes.AssignBlock, frame: Frame, _out: Out) -> None:
        """Perform `set name` with a body."""
        found: Json = self.captured(node.body, Frame(outer=frame))
        if node.filter is not None:
            found = self.through(node.filter, frame, found)
        self.assign(node.target, found, frame)

    def assign(self, target: nodes.Node, value: Any, frame: Frame) -> None:
        """Give a name, names or a field of a namespace a value."""
        self.budget.spend(1)
        if isinstance(target, nodes.Name):
            if isinstance(value, Missing):
                plain(value)
            frame.names[target.name] = value
        elif isinstance(target, nodes.NSRef):
            namespace = frame.find(target.name)
            if not isinstance(namespace, Namespace):
                message = f"`{target.name}` is no namespace, so no field of it can be set"
                raise Fault(message, f"write `set {target.name} = namespace(…)` first")
            namespace.values[target.attr] = plain(value)
        elif isinstance(target, nodes.Tuple):
            parts = elements(plain(value), self.budget)
            if len(parts) != len(target.items):
                message = f"{len(target.items)} names are given {len(parts)} values"
                raise Fault(message)
            for name, part in zip(target.items, parts, strict=True):
                self.assign(name, part, frame)

    def deeper(self, loop: Loop, node: nodes.Call, frame: Frame) -> str:
        """Perform a `for … recursive` for the elements of an element."""
        arguments, named = self.arguments(node, frame)
        if not loop.node.recursive or len(arguments) != 1 or named:
            raise Fault("`loop(list)` stands inside a `for … recursive` and takes one list")
        items = self.items(loop.node, plain(arguments[0]), loop.around)
        out: Out = []
        self.loop(Loop(loop.node, loop.around, items, loop.depth0 + 1), out)
        self.budget.text(sum(map(len, out)))
        return "".join(out)

    def invoke(
        self, macro: MacroValue, call: nodes.Call, frame: Frame, caller: MacroValue | None
    ) -> str:
        """Give the text that a macro makes of the arguments of a call."""
        self.budget.spend(_PER_MACRO)
        arguments, named = self.arguments(call, frame)
        names = [argument.name for argument in macro.node.args]
        inner = Frame(outer=macro.around)
        inner.names["caller"] = caller or Missing("there is no `caller` here: use a `call` block")
        if len(arguments) > len(names) or not set(named) <= set(names[len(arguments) :]):
            message = f"the macro `{macro.name}` takes {', '.join(names) or 'nothing'}"
            raise Fault(message)
        given = {**dict(zip(names, arguments, strict=False)), **named}
        defaults = dict(zip(reversed(names), reversed(macro.node.defaults), strict=False))
        for name in names:
            if name in given:
                inner.names[name] = given[name]
            elif name in defaults:
                inner.names[name] = self.raw(defaults[name], inner)
            else:
                inner.names[name] = Missing(f"the macro `{macro.name}` was not given `{name}`")
        if macro.name == "caller":
            # Inside its body `caller` is that of the place where the body is written.
            del inner.names["caller"]
        return self.captured(macro.node.body, inner)


_STATEMENTS: Mapping[type[nodes.Node], Callable[[Rendering, Any, Frame, Out], None]] = {
    nodes.Output: Rendering.output,
    nodes.For: Rendering.for_,
    nodes.If: Rendering.if_,
    nodes.With: Rendering.with_,
    nodes.Macro: Rendering.macro,
    nodes.CallBlock: Rendering.call_block,
    nodes.FilterBlock: Rendering.filter_block,
    nodes.Assign: Rendering.set_,
    nodes.AssignBlock: Rendering.set_block,
}
