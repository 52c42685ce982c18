"""What is wrong with a configuration file: found part by part, each with its place and a hint.

Lives here: turning the faults of typed models into findings. What a part must mean besides its type
is checked in `configuration.py` and `configuration_sources.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.config import (
    Configuration,
    ConnectionConfig,
    Limits,
    PollConfig,
    ReconcileConfig,
    Retention,
    SecretReference,
    Section,
    SourceConfig,
    WorkflowFile,
)
from schemas.plain_words import in_plain_words
from service.errors import ConfigurationError
from service.workflows.findings import Finding, did_you_mean
from service.workflows.yaml_tree import Path as TreePath
from service.workflows.yaml_tree import YamlTree

Item = TypeVar("Item", bound=Section)
Model = TypeVar("Model", bound=BaseModel)

# Which model stands where, with list positions and free names left out: for "did you mean".
_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): Configuration,
    ("sources",): SourceConfig,
    ("sources", "secrets"): SecretReference,
    ("sources", "path_token"): SecretReference,
    ("sources", "limits"): Limits,
    ("sources", "reconcile"): ReconcileConfig,
    ("connections",): ConnectionConfig,
    ("connections", "credentials"): SecretReference,
    ("polls",): PollConfig,
    ("workflows",): WorkflowFile,
    ("retention",): Retention,
}


def _hint(fault: ErrorDetails) -> str | None:
    if fault["type"] not in {"tuple_type", "list_type"}:
        return None
    if fault["loc"][-1:] == ("secrets",):
        return "write a list: `secrets: [{env: NAME}]`"
    return "put the items between `[` and `]`, or each on a line that begins with `- `"


class FaultyConfigurationError(ConfigurationError):
    """The configuration has faults; `findings` holds all of them."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        """Keep the findings; the message shows every one of them."""
        # One that has no hint cannot be compared with one that has: places decide the order.
        self.findings = tuple(
            sorted(set(findings), key=lambda item: (item.file, item.line, item.column))
        )
        count = "1 fault" if len(self.findings) == 1 else f"{len(self.findings)} faults"
        lines = "\n".join(f"  {finding}" for finding in self.findings)
        super().__init__(f"the configuration has {count}; nothing was changed\n{lines}")


class FaultFinder:
    """Reads the parts of one file as typed values and gathers what is wrong with them."""

    def __init__(self, file: str, tree: YamlTree) -> None:
        self.findings: list[Finding] = []
        self._file = file
        self._tree = tree

    def items(
        self,
        section: str,
        model: type[Item],
        *,
        lift: Callable[[object], object] = lambda value: value,
    ) -> Iterator[tuple[TreePath, Item, frozenset[str]]]:
        """Give a section's items with their paths and the names of their faulty parts."""
        items = self._tree.value.get(section)
        if items is None:
            return
        if not isinstance(items, list):
            self.find((section,), f"`{section}` must be a list; begin each item with `- `")
            return
        names: set[str] = set()
        for at, value in enumerate(items):
            path = (section, at)
            item, lost = self._read_item(path, model, lift(value))
            if item is None:
                continue
            name = getattr(item, "name", None)
            if name is not None and name in names:
                self.find((*path, "name"), f"the name `{name}` is given twice in `{section}`")
            names.add(str(name))
            yield path, item, lost

    def _read_item(
        self, path: TreePath, model: type[Item], value: object
    ) -> tuple[Item | None, frozenset[str]]:
        """Read an item; when parts of it are wrong, give the rest and the names of those parts.

        So the checks of the rest are made too, and the file's owner hears of everything at once.
        """
        try:
            return model.model_validate(value), frozenset()
        except ValidationError as error:
            self._take(path, model, error)
            lost = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
        if not isinstance(value, dict):
            return None, frozenset()
        try:
            rest = {key: part for key, part in value.items() if key not in lost}
            return model.model_validate(rest), frozenset(lost)
        except ValidationError:
            return None, frozenset()

    def fit(self, path: TreePath, model: type[Model], values: object) -> Model | None:
        """Give a part as a typed value; None when it is none, which is then noted."""
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self._take(path, model, error)
            return None

    def _take(self, path: TreePath, model: type[BaseModel], error: ValidationError) -> None:
        for fault in error.errors(include_url=False, include_input=False):
            place = (*path, *fault["loc"])
            if fault["type"] == "extra_forbidden":
                around = tuple(part for part in place[:-1] if isinstance(part, str))
                inner = _MODELS.get(around[:2], model) if len(fault["loc"]) > 1 else model
                self.find_key(place, inner)
            elif fault["type"] == "missing":
                self.find(place[:-1], f"`{place[-1]}` is missing")
            else:
                words = in_plain_words(fault)
                named = fault["loc"] and fault["type"] != "value_error"
                self.find(place, f"`{fault['loc'][-1]}` {words}" if named else words, _hint(fault))

    def find_key(self, path: TreePath, model: type[BaseModel]) -> None:
        """Note a key that a part does not have."""
        known = [info.alias or name for name, info in model.model_fields.items()]
        hint = did_you_mean(str(path[-1]), known)
        self.find(path, f"the key `{path[-1]}` is not known here", hint, key=True)

    def find(
        self, path: TreePath, message: str, hint: str | None = None, *, key: bool = False
    ) -> None:
        """Note what is wrong with the value at this path, or with its key."""
        place = self._tree.place(path)
        exact = key and path in self._tree.places
        line, column = (place.key_line, place.key_column) if exact else (place.line, place.column)
        self.findings.append(Finding(self._file, line, column, message, hint))
