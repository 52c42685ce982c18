"""Who starts whom: which workflows a workflow's own events and calls start, and circles of them.

A workflow that sets itself off, directly or around, never comes to rest, so it is refused. What a
condition would say is not known here: a circle is one whatever stands in an `if`. Left out are
`run.failed` (a run that one has started makes none) and what vendors send because of an action.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas.document import SECTIONS, ActionStep, CallStep, Document, EmitStep, Step, arms
from service.workflows.findings import Finding
from service.workflows.matching import type_matches
from service.workflows.yaml_tree import Path, YamlFault, YamlTree, read_yaml

OWN_VENDOR = "hookwright"
EVENTS_OF_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "alert.open": ("alert.opened",),
    "alert.resolve": ("alert.resolved",),
}
"""Events that Hookwright makes when one of its own actions is performed."""


@dataclass(frozen=True, slots=True)
class Link:
    """One workflow starts another: by a step at `cause`, and through the trigger at `trigger`.

    `event` is the type of the event in between; None, as `trigger`, for a call.
    """

    source: str
    target: str
    step: str
    cause: Path
    event: str | None = None
    trigger: Path | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A workflow with its file as people name it, and its text, where it can be had."""

    document: Document
    file: str
    text: str | None = None


def links_of(documents: Sequence[Document]) -> list[Link]:
    """Give every way in which one of these workflows starts one of them."""
    known = {document.name for document in documents}
    found: list[Link] = []
    for document in documents:
        for step, path in _steps(document):
            if isinstance(step, CallStep) and step.call in known:
                found.append(Link(document.name, step.call, step.id, (*path, "call")))
            for event, cause in _made(step, path):
                found.extend(
                    Link(document.name, other.name, step.id, cause, event, trigger)
                    for other in documents
                    for trigger in _started(other, event)
                )
    return found


def circles(documents: Sequence[Document]) -> list[tuple[Link, ...]]:
    """Give the circles, each once, the shortest of those through a workflow first."""
    outgoing: dict[str, list[Link]] = {}
    for link in links_of(documents):
        outgoing.setdefault(link.source, []).append(link)
    found: dict[frozenset[str], tuple[Link, ...]] = {}
    for name in sorted(outgoing):
        circle = _shortest(name, outgoing)
        if circle:
            found.setdefault(frozenset(link.source for link in circle), circle)
    return list(found.values())


def circle_findings(members: Sequence[Member]) -> list[Finding]:
    """Give the circles as faults, each where its first workflow begins it."""
    named = {member.document.name: member for member in members}
    places = _Places(named)
    found = []
    for circle in circles([member.document for member in members]):
        first = circle[0]
        words = ", ".join(_words(link, places, at) for at, link in enumerate(circle))
        line, column = places.of(first.source, first.cause)
        file = named[first.source].file
        message = f"the workflow `{first.source}` would set itself off: {words}"
        found.append(Finding(file, line, column, message, _hint(circle)))
    return found


def _words(link: Link, places: _Places, at: int) -> str:
    who = "its step" if at == 0 else "whose step"
    where = places.said(link.source, link.cause)
    if link.event is None:
        return f"{who} `{link.step}` calls `{link.target}` ({where})"
    trigger = places.said(link.target, link.trigger or ())
    return (
        f"{who} `{link.step}` makes `{link.event}` ({where}), "
        f"which starts `{link.target}` ({trigger})"
    )


def _hint(circle: Sequence[Link]) -> str:
    if all(link.event is None for link in circle):
        return "leave one of the calls out; `for_each` repeats steps"
    return (
        "let one of the triggers name the `vendor` whose events it is meant for, or emit an event "
        "that starts none of them; an `if` does not help, since nobody knows here what it will say"
    )


def _steps(document: Document) -> Iterator[tuple[Step, Path]]:
    for section in SECTIONS:
        yield from _walk(getattr(document, section), (section,))


def _walk(steps: Sequence[Step], path: Path) -> Iterator[tuple[Step, Path]]:
    for at, step in enumerate(steps):
        here: Path = (*path, at)
        yield step, here
        for number, arm in enumerate(arms(step)):
            inner: Path = ("parallel", number) if hasattr(step, "parallel") else ("steps",)
            yield from _walk(arm, (*here, *inner))


def _made(step: Step, path: Path) -> Iterator[tuple[str, Path]]:
    if isinstance(step, EmitStep):
        yield step.emit.type, (*path, "emit", "type")
    elif isinstance(step, ActionStep):
        for event in EVENTS_OF_ACTIONS.get(step.uses, ()):
            yield event, (*path, "uses")


def _started(document: Document, event: str) -> Iterator[Path]:
    """Give the first trigger that an event of ours fires: such events come from no source."""
    for at, trigger in enumerate(document.triggers):
        pattern = getattr(trigger, "event", None)
        if pattern is None or not type_matches(pattern, event):
            continue
        if getattr(trigger, "source", None) is None and getattr(trigger, "vendor", None) in {
            None,
            OWN_VENDOR,
        }:
            yield ("on", at, "event")
            return


def _shortest(name: str, outgoing: Mapping[str, Sequence[Link]]) -> tuple[Link, ...]:
    """Give the shortest way from a workflow back to itself; nothing when there is none."""
    ways: deque[tuple[Link, ...]] = deque([()])
    reached: set[str] = set()
    while ways:
        way = ways.popleft()
        for link in outgoing.get(way[-1].target if way else name, ()):
            if link.target == name:
                return (*way, link)
            if link.target not in reached:
                reached.add(link.target)
                ways.append((*way, link))
    return ()


class _Places:
    """Where things stand in the texts of the workflows, read when they are asked for."""

    def __init__(self, named: Mapping[str, Member]) -> None:
        self._named = named
        self._trees: dict[str, YamlTree | None] = {}

    def of(self, name: str, path: Path) -> tuple[int, int]:
        """Give line and column; 1 and 1 when there is no text."""
        if name not in self._trees:
            self._trees[name] = _tree(self._named[name].text)
        tree = self._trees[name]
        if tree is None:
            return 1, 1
        place = tree.place(path)
        return place.line, place.column

    def said(self, name: str, path: Path) -> str:
        """Give file and line in words."""
        line, _ = self.of(name, path)
        return f"{self._named[name].file}:{line}"


def _tree(text: str | None) -> YamlTree | None:
    try:
        return None if text is None else read_yaml(text)
    except YamlFault:
        return None
