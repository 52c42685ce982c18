"""How much one rendering may do: counted work, made text and nesting, with no clock involved.

A unit of work is about 2 µs of this interpreter. Everything that grows with a value is paid for
before it is done, so that the worst template ends in a fault after about a second, and what it
makes on the way stays within some 50 MB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.events import Json
from service.workflows.functions import MOST_CHARACTERS

MOST_WORK = 400_000
DEEPEST_VALUE = 100
"""Nesting of a value that is printed, compared or handed to a function."""
DEEPEST_NESTING = 150
"""Statements, expressions and macros inside one another, while they are performed."""
_CHARACTERS_A_UNIT = 32
"""Characters that are copied; 1/32 also bounds all text that is made to 12 million characters."""
_HANDLED_A_UNIT = 5
"""Characters that go through one of the functions: escaping takes about 0.4 µs for each."""
_ELEMENTS_A_UNIT = 8


class Fault(ValueError):  # noqa: N818  # says what is wrong with the template or its values
    """Rendering cannot go on: the sentence, and what was probably meant."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        """Keep the sentence and the hint; whoever knows the line adds it."""
        super().__init__(message)
        self.hint = hint


class Budget:
    """What is left to spend. One object for each rendering."""

    __slots__ = ("left", "nesting")

    def __init__(self) -> None:
        self.left = MOST_WORK
        self.nesting = 0

    def spend(self, units: int) -> None:
        """Pay for work that follows. Raises Fault."""
        self.left -= units
        if self.left < 0:
            message = "the template does too much work with these values"
            raise Fault(message, "go through fewer elements, or shorten the texts")

    def enter(self) -> None:
        """Begin something that may hold itself. Raises Fault."""
        self.left -= 1
        if self.left < 0:
            self.spend(0)
        self.nesting += 1
        if self.nesting > DEEPEST_NESTING:
            message = f"the template is nested more than {DEEPEST_NESTING} deep"
            raise Fault(message, "does a macro call itself without an end?")

    def leave(self) -> None:
        """End what was begun last."""
        self.nesting -= 1

    def text(self, length: int) -> None:
        """Pay for a text that is about to be made. Raises Fault."""
        if length > MOST_CHARACTERS:
            message = f"the text would be longer than {MOST_CHARACTERS} characters"
            raise Fault(message)
        self.spend(1 + length // _CHARACTERS_A_UNIT)

    def elements(self, count: int) -> None:
        """Pay for a list that is about to be made of values that exist. Raises Fault."""
        self.spend(1 + count // _ELEMENTS_A_UNIT)

    def handle(self, values: Sequence[Json]) -> None:
        """Pay for handing values, with all that is in them, to a function. Raises Fault."""
        for value in values:
            self._handle(value, 0, _HANDLED_A_UNIT)

    def compare(self, *values: Json) -> None:
        """Pay for comparing values. Raises Fault."""
        for value in values:
            self._handle(value, 0, _CHARACTERS_A_UNIT)

    def _handle(self, value: Json, depth: int, rate: int) -> None:
        """Walk it: a list that holds another twice costs as much as if both were copies."""
        if isinstance(value, str):
            self.spend(1 + len(value) // rate)
        elif isinstance(value, list | tuple | Mapping):
            if depth >= DEEPEST_VALUE:
                message = f"a value is nested more than {DEEPEST_VALUE} deep"
                raise Fault(message)
            self.spend(1)
            if isinstance(value, Mapping):
                for key, item in value.items():
                    self._handle(key, depth + 1, rate)
                    self._handle(item, depth + 1, rate)
            else:
                for item in value:
                    self._handle(item, depth + 1, rate)
        else:
            self.spend(1)
