"""Reading `hookwright.yaml` (contract §4): everything that is wrong with it is said at once.

Lives here: the file, its workflow documents, and the secrets it points to. What is done with a
good file lives in `apply.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.config import (
    Configuration,
    ConnectionConfig,
    Limits,
    PollConfig,
    Retention,
    SecretReference,
    Section,
    SourceConfig,
    WorkflowFile,
)
from schemas.workflow import Document
from service.catalogue import build_catalogue
from service.errors import ConfigurationError
from service.secret_references import SecretMissingError, resolve_secret
from service.vendors import VENDORS
from service.vendors.base import Incoming, Secret, Vendor
from service.workflows.document import parse_document
from service.workflows.findings import DocumentError, Finding, did_you_mean
from service.workflows.yaml_tree import Path as TreePath
from service.workflows.yaml_tree import YamlFault, YamlTree, read_yaml

Item = TypeVar("Item", bound=Section)

# Which model stands where, with list positions and free names left out: for "did you mean".
_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): Configuration,
    ("sources",): SourceConfig,
    ("sources", "secrets"): SecretReference,
    ("sources", "path_token"): SecretReference,
    ("sources", "limits"): Limits,
    ("connections",): ConnectionConfig,
    ("connections", "credentials"): SecretReference,
    ("polls",): PollConfig,
    ("workflows",): WorkflowFile,
    ("retention",): Retention,
}


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


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """A source of the file with its secrets in hand."""

    config: SourceConfig
    secrets: tuple[str, ...]
    path_token: str | None


@dataclass(frozen=True, slots=True)
class DeclaredConnection:
    """A connection of the file with its credentials in hand."""

    config: ConnectionConfig
    credentials: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeclaredWorkflow:
    """A checked workflow document, the values that replace its `vars`, and its text."""

    document: Document
    vars: Mapping[str, Any]
    text: str
    file: str


@dataclass(frozen=True, slots=True)
class Declared:
    """What a good configuration file declares."""

    sources: tuple[DeclaredSource, ...]
    connections: tuple[DeclaredConnection, ...]
    polls: tuple[PollConfig, ...]
    workflows: tuple[DeclaredWorkflow, ...]
    retention: Retention


def read_configuration(
    path: Path, environment: Mapping[str, str], *, vendors: Sequence[Vendor] = VENDORS
) -> Declared:
    """Read and check a configuration file with all it refers to.

    `environment` answers `{env: NAME}`. Raises FaultyConfigurationError naming file, line and
    column of everything that is wrong, ConfigurationError when there is no such file.
    """
    tree = _read_tree(path)
    reader = _Reader(path, tree, environment, {vendor.name: vendor for vendor in vendors})
    declared = reader.read()
    if reader.findings:
        raise FaultyConfigurationError(reader.findings)
    return declared


def read_source(path: Path, environment: Mapping[str, str], name: str) -> DeclaredSource:
    """Give one source of a configuration file, whatever is wrong with the rest of the file.

    Raises ConfigurationError when there is no such source or its secrets cannot be had.
    """
    tree = _read_tree(path)
    reader = _Reader(path, tree, environment, {vendor.name: vendor for vendor in VENDORS})
    found = {item.config.name: item for item in reader.sources()}
    if name not in found:
        raise ConfigurationError(
            f"{path} declares no source `{name}`", hint=did_you_mean(name, found)
        )
    if len(found[name].secrets) != len(found[name].config.secrets):
        raise FaultyConfigurationError(reader.findings)
    return found[name]


def _read_tree(path: Path) -> YamlTree:
    try:
        return read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the configuration file {path} cannot be read: {error}",
            hint="`hookwright init` writes one to begin with",
        ) from error
    except YamlFault as fault:
        finding = Finding(str(path), fault.line, fault.column, str(fault), fault.hint)
        raise FaultyConfigurationError([finding]) from fault


class _Reader:
    """Goes through one file and gathers what it finds."""

    def __init__(
        self,
        path: Path,
        tree: YamlTree,
        environment: Mapping[str, str],
        vendors: Mapping[str, Vendor],
    ) -> None:
        self.findings: list[Finding] = []
        self._file = str(path)
        self._folder = path.parent
        self._tree = tree
        self._environment = environment
        self._vendors = vendors

    def read(self) -> Declared:
        """Give what the file declares; it holds only as long as there are no findings."""
        if not isinstance(self._tree.value, dict):
            self._find((), "the file must hold keys such as `sources:` and `workflows:`")
            return Declared((), (), (), (), Retention())
        for key in self._tree.value:
            if key not in Configuration.model_fields:
                self._find_key((key,), Configuration)
        if self._tree.value.get("subscriptions"):
            self._find(
                ("subscriptions",),
                "this version sends no webhooks of its own",
                "remove `subscriptions`; `hookwright tail events --json` gives every event",
                key=True,
            )
        connections = tuple(self._connections())
        polls = tuple(self._polls({item.config.name: item.config for item in connections}))
        names = {item.config.name for item in connections}
        return Declared(
            sources=tuple(self.sources()),
            connections=connections,
            polls=polls,
            workflows=tuple(self._workflows(names)),
            retention=self._model(("retention",), Retention, default={}) or Retention(),
        )

    # --- sections ------------------------------------------------------------------------------

    def sources(self) -> Iterator[DeclaredSource]:
        """Give the sources, noting what is wrong with them."""
        if not isinstance(self._tree.value, dict):
            return
        for path, config, lost in self._items("sources", SourceConfig):
            secrets = [
                self._secret((*path, "secrets", at), reference, f"source `{config.name}`")
                for at, reference in enumerate(config.secrets)
            ]
            token = config.path_token and self._secret(
                (*path, "path_token"), config.path_token, f"source `{config.name}`"
            )
            good = tuple(secret for secret in secrets if secret)
            vendor = self._vendor(path, config.vendor)
            if vendor is not None and vendor.incoming is None:
                self._find((*path, "vendor"), f"{vendor.title} sends no webhooks")
            elif vendor is not None and vendor.incoming is not None:
                complete = len(good) == len(secrets) and not lost & {"secrets", "path_token"}
                self._check_incoming(path, config, vendor.incoming, good if complete else None)
            yield DeclaredSource(config, good, token or None)

    def _check_incoming(
        self,
        path: TreePath,
        config: SourceConfig,
        incoming: Incoming,
        secrets: tuple[str, ...] | None,
    ) -> None:
        options = self._options((*path, "options"), incoming.options, config.options)
        if options is None or secrets is None:
            return
        if not incoming.wants_secret(options):
            if config.path_token is None:
                self._find(
                    path,
                    f"the source `{config.name}` signs nothing and has no `path_token`",
                    "add one: `path_token: {env: NAME}`; the vendor sends to /hooks/NAME/TOKEN",
                )
            return
        if not secrets:
            self._find(
                path,
                f"the source `{config.name}` has no secret to verify deliveries with",
                "add one: `secrets: [{env: NAME}]`",
            )
            return
        try:
            incoming.verifier(options, [Secret(value) for value in secrets])
        except ConfigurationError as error:
            self._find((*path, "options"), error.message, error.hint)

    def _connections(self) -> Iterator[DeclaredConnection]:
        for path, config, _lost in self._items("connections", ConnectionConfig):
            owner = f"connection `{config.name}`"
            found = {
                name: self._secret((*path, "credentials", name), reference, owner)
                for name, reference in config.credentials.items()
            }
            credentials = {name: value for name, value in found.items() if value}
            vendor = self._vendor(path, config.vendor)
            if vendor is not None and vendor.outgoing is None:
                self._find((*path, "vendor"), f"{vendor.title} is not called by Hookwright")
            elif vendor is not None and vendor.outgoing is not None:
                self._options((*path, "options"), vendor.outgoing.options, config.options)
                # One that is missing was named already; the model would say it again.
                if len(credentials) == len(found):
                    self._options((*path, "credentials"), vendor.outgoing.credentials, credentials)
            yield DeclaredConnection(config, credentials)

    def _polls(self, connections: Mapping[str, ConnectionConfig]) -> Iterator[PollConfig]:
        for path, config, _lost in self._items("polls", PollConfig):
            connection = connections.get(config.connection)
            if connection is None:
                self._find(
                    (*path, "connection"),
                    f"there is no connection `{config.connection}`",
                    did_you_mean(config.connection, connections),
                )
            elif (vendor := self._vendors.get(connection.vendor)) is not None:
                polls = {poll.name: poll for poll in vendor.polls}
                if config.poll in polls:
                    self._options((*path, "options"), polls[config.poll].options, config.options)
                else:
                    self._find(
                        (*path, "poll"),
                        f"{vendor.title} has no poll `{config.poll}`",
                        did_you_mean(config.poll, polls),
                    )
            yield config

    def _workflows(self, connections: set[str]) -> Iterator[DeclaredWorkflow]:
        catalogue = build_catalogue(vendors=self._vendors.values(), connections=connections)
        names: dict[str, str] = {}
        entries = list(self._items("workflows", WorkflowFile, lift=_lift_file))
        # A file that is named, with vars of its own, is not meant by a pattern beside it.
        named = {
            file
            for _path, entry, _lost in entries
            if not _is_pattern(entry.file)
            for file in _matching(self._folder, entry.file)
        }
        for path, entry, _lost in entries:
            files = _matching(self._folder, entry.file)
            if _is_pattern(entry.file) and files:
                files = [file for file in files if file not in named]
                if not files:
                    continue
            if not files:
                self._find(
                    path,
                    f"no file matches `{entry.file}`",
                    f"patterns are relative to the folder of {self._file}",
                )
            for file in files:
                shown = str(file)
                try:
                    text = file.read_text(encoding="utf-8")
                    document = parse_document(text, filename=shown, catalogue=catalogue)
                except DocumentError as error:
                    self.findings.extend(error.findings)
                    continue
                except (OSError, UnicodeDecodeError) as error:
                    self._find(path, f"{shown} cannot be read: {error}")
                    continue
                if document.name in names:
                    self._find(
                        path,
                        f"the workflow `{document.name}` of {shown} is also in "
                        f"{names[document.name]}",
                    )
                names[document.name] = shown
                self._check_vars(path, entry, document)
                yield DeclaredWorkflow(document, entry.vars, text, shown)

    def _check_vars(self, path: TreePath, entry: WorkflowFile, document: Document) -> None:
        for name in entry.vars:
            if name not in document.vars:
                self._find(
                    (*path, "vars", name),
                    f"the workflow `{document.name}` has no var `{name}`",
                    did_you_mean(name, document.vars),
                    key=True,
                )

    # --- pieces --------------------------------------------------------------------------------

    def _items(
        self, section: str, model: type[Item], *, lift: Any = None
    ) -> Iterator[tuple[TreePath, Item, frozenset[str]]]:
        items = self._tree.value.get(section)
        if items is None:
            return
        if not isinstance(items, list):
            self._find((section,), f"`{section}` must be a list; begin each item with `- `")
            return
        names: set[str] = set()
        for at, value in enumerate(items):
            path = (section, at)
            item, lost = self._read_item(path, model, lift(value) if lift else value)
            if item is None:
                continue
            name = getattr(item, "name", None)
            if name is not None and name in names:
                self._find((*path, "name"), f"the name `{name}` is given twice in `{section}`")
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

    def _model(self, path: TreePath, model: type[Item], *, default: Any) -> Item | None:
        return self._validate(path, model, self._tree.value.get(path[0], default))

    def _validate(self, path: TreePath, model: type[Item], value: object) -> Item | None:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            self._take(path, model, error)
            return None

    def _options(
        self, path: TreePath, model: type[BaseModel], values: Mapping[str, object]
    ) -> BaseModel | None:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self._take(path, model, error)
            return None

    def _vendor(self, path: TreePath, name: str) -> Vendor | None:
        vendor = self._vendors.get(name)
        if vendor is None:
            hint = did_you_mean(name, self._vendors)
            self._find((*path, "vendor"), f"there is no vendor `{name}`", hint)
        return vendor

    def _secret(self, path: TreePath, reference: SecretReference, owner: str) -> str | None:
        try:
            return resolve_secret(reference, self._folder, self._environment)
        except SecretMissingError as error:
            self._find(path, f"{error.message} (for {owner})", error.hint)
            return None

    def _take(self, path: TreePath, model: type[BaseModel], error: ValidationError) -> None:
        for fault in error.errors(include_url=False, include_input=False):
            place = (*path, *fault["loc"])
            if fault["type"] == "extra_forbidden":
                around = tuple(part for part in place[:-1] if isinstance(part, str))
                inner = _MODELS.get(around[:2], model) if len(fault["loc"]) > 1 else model
                self._find_key(place, inner)
            elif fault["type"] == "missing":
                self._find(place[:-1], f"`{place[-1]}` is missing")
            else:
                message = fault["msg"].removeprefix("Value error, ")
                self._find(place, f"{message[:1].lower()}{message[1:]}")

    def _find_key(self, path: TreePath, model: type[BaseModel]) -> None:
        known = [info.alias or name for name, info in model.model_fields.items()]
        hint = did_you_mean(str(path[-1]), known)
        self._find(path, f"the key `{path[-1]}` is not known here", hint, key=True)

    def _find(
        self, path: TreePath, message: str, hint: str | None = None, *, key: bool = False
    ) -> None:
        place = self._tree.place(path)
        exact = key and path in self._tree.places
        line, column = (place.key_line, place.key_column) if exact else (place.line, place.column)
        self.findings.append(Finding(self._file, line, column, message, hint))


def _lift_file(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


def _matching(folder: Path, pattern: str) -> list[Path]:
    wanted = Path(pattern)
    if wanted.is_absolute():
        return sorted(Path(wanted.anchor).glob(str(wanted.relative_to(wanted.anchor))))
    return sorted(folder.glob(pattern))


def _is_pattern(file: str) -> bool:
    return any(character in file for character in "*?[")
