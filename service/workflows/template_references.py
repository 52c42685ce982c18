"""Which values of the scope a template reads, and where: `event.facts.url`, line 3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinja2 import nodes

from service.workflows.references import Reference
from service.workflows.template_syntax import keywords, line_starts, targets

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TemplateReference(Reference):
    """A name of the scope with the fields that are read of it, as far as they are written out.

    `line` counts from 1, and `offset` is where it begins. `tested`: it may be missing, because
    `default` or `is defined` asks for it.
    """

    line: int = 1


def template_references(tree: nodes.Template, text: str) -> tuple[TemplateReference, ...]:
    """Give every reference once a line, in order, without what the template may have set itself.

    Where a name may stand for one of the scope or for one of the template's own, it is left out:
    nothing is given that is not surely read of the scope, when it is read at all.
    """
    walk = _Walk(frozenset(_set_anywhere(tree)))
    found = dict.fromkeys(walk.block(tree.body, set()))
    starts = line_starts(text)
    return tuple(
        TemplateReference(path, starts[line - 1], tested, line=line) for path, line, tested in found
    )


def read_paths(tree: nodes.Template) -> frozenset[Path]:
    """Give what a rendering may need: every name with its fields, whatever it stands for."""
    return frozenset(path for path, _, _ in _Walk(frozenset()).everything(tree))


_Found = tuple[Path, int, bool]


def _set_anywhere(tree: nodes.Template) -> Iterator[str]:
    for name in tree.find_all(nodes.Name):
        if name.ctx in {"store", "param"}:
            yield name.name
    yield from (macro.name for macro in tree.find_all(nodes.Macro))


class _Walk:
    """Goes through the tree in the order of performing. `bound` grows while a block is read."""

    def __init__(self, anywhere: frozenset[str]) -> None:
        self.anywhere = anywhere

    def block(self, body: Iterable[nodes.Node], bound: set[str]) -> Iterator[_Found]:
        for node in body:
            yield from self.statement(node, bound)

    def statement(self, node: nodes.Node, bound: set[str]) -> Iterator[_Found]:
        match node:
            case nodes.For():
                yield from self._for(node, bound)
            case nodes.If():
                yield from self._if(node, bound)
            case nodes.With():
                yield from self._with(node, bound)
            case nodes.Macro() | nodes.CallBlock():
                yield from self._macro(node, bound)
            case nodes.FilterBlock():
                yield from self.block(node.body, set(bound))
                yield from self.expression(node.filter, bound)
            case nodes.Assign() | nodes.AssignBlock():
                yield from self._set(node, bound)
            case _:
                for child in node.iter_child_nodes():
                    yield from self.expression(child, bound)

    def _for(self, node: nodes.For, bound: set[str]) -> Iterator[_Found]:
        yield from self.expression(node.iter, bound)
        inner = bound | targets(node.target)
        if node.test is not None:
            yield from self.expression(node.test, inner)
        yield from self.block(node.body, inner | {"loop"})
        yield from self.block(node.else_, set(bound))

    def _if(self, node: nodes.If, bound: set[str]) -> Iterator[_Found]:
        yield from self.expression(node.test, bound)
        # A name set in one branch may be set afterwards, so it counts as set.
        branches = [set(bound) for _ in range(2 + len(node.elif_))]
        yield from self.block(node.body, branches[0])
        for other, branch in zip(node.elif_, branches[2:], strict=True):
            yield from self.statement(other, branch)
        yield from self.block(node.else_, branches[1])
        bound.update(*branches)

    def _with(self, node: nodes.With, bound: set[str]) -> Iterator[_Found]:
        inner = set(bound)
        for target, value in zip(node.targets, node.values, strict=True):
            yield from self.expression(value, bound)
            inner |= targets(target)
        yield from self.block(node.body, inner)

    def _macro(self, node: nodes.Macro | nodes.CallBlock, bound: set[str]) -> Iterator[_Found]:
        if isinstance(node, nodes.CallBlock):
            yield from self.expression(node.call, bound)
        else:
            bound.add(node.name)
        # It is performed later: whatever is set anywhere may be set by then.
        inner = bound | self.anywhere | {"caller"} | {item.name for item in node.args}
        for default in node.defaults:
            yield from self.expression(default, inner)
        yield from self.block(node.body, inner)

    def _set(self, node: nodes.Assign | nodes.AssignBlock, bound: set[str]) -> Iterator[_Found]:
        if isinstance(node, nodes.Assign):
            yield from self.expression(node.node, bound)
        else:
            yield from self.block(node.body, set(bound))
            if node.filter is not None:
                yield from self.expression(node.filter, bound)
        bound |= targets(node.target)

    def expression(
        self, node: nodes.Node, bound: set[str], *, tested: bool = False
    ) -> Iterator[_Found]:
        match node:
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                yield from self._chain(node, bound, tested=tested)
            case nodes.Test(name="defined" | "undefined") | nodes.Filter(name="default"):
                if node.node is not None:
                    yield from self.expression(node.node, bound, tested=True)
                for argument in node.args:
                    yield from self.expression(argument, bound)
            case nodes.Call(node=nodes.Name(name=name)):
                for at, argument in enumerate(node.args):
                    forgiving = name == "default" and at == 0
                    yield from self.expression(argument, bound, tested=forgiving)
                for keyword in keywords(node):
                    yield from self.expression(keyword.value, bound)
            case _:
                for child in node.iter_child_nodes():
                    yield from self.expression(child, bound)

    def _chain(self, node: nodes.Node, bound: set[str], *, tested: bool) -> Iterator[_Found]:
        fields: list[str] = []
        while not isinstance(node, nodes.Name):
            match node:
                case nodes.Getattr(node=inner, attr=field):
                    fields.append(field)
                    node = inner
                case nodes.Getitem(node=inner, arg=nodes.Const(value=str() as field)):
                    fields.append(field)
                    node = inner
                case nodes.Getitem(node=inner, arg=index):
                    # What is read of an element has no path: only what holds it has one.
                    fields.clear()
                    yield from self.expression(index, bound)
                    node = inner
                case _:
                    yield from self.expression(node, bound, tested=tested)
                    return
        if node.ctx == "load" and node.name not in bound:
            yield (node.name, *reversed(fields)), node.lineno, tested

    def everything(self, tree: nodes.Template) -> Iterator[_Found]:
        pending: list[nodes.Node] = [tree]
        while pending:
            node = pending.pop()
            if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
                yield from self._chain(node, set(), tested=False)
            else:
                pending += node.iter_child_nodes()
