"""Reading `hookwright.yaml` (contract §4): everything that is wrong with it is said at once.

Lives here: the file, its workflow documents, and the secrets it points to. What is done with a
good file lives in `apply.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from schemas.config import (
    Configuration,
    ConnectionConfig,
    PollConfig,
    ReconcileConfig,
    Retention,
    SecretReference,
    SourceConfig,
    WorkflowFile,
)
from schemas.workflow import Document
from service.catalogue import build_catalogue
from service.configuration_faults import FaultFinder, FaultyConfigurationError
from service.errors import ConfigurationError
from service.secret_references import SecretMissingError, resolve_secret
from service.vendors import VENDORS
from service.vendors.base import Incoming, Secret, Vendor
from service.workflows.document import parse_document
from service.workflows.findings import DocumentError, Finding, did_you_mean
from service.workflows.yaml_tree import Path as TreePath
from service.workflows.yaml_tree import YamlFault, YamlTree, read_yaml

_YAML_HINT = (
    "look here and just before for a line that is indented otherwise than its neighbours, "
    "and for a bracket or quote that is not closed"
)


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
        _explain_absence(path, tree, reader, name)
    source = found[name]
    # Secrets of a wrong shape are lost on the way, and nothing can be signed without them.
    bare = not source.secrets and source.path_token is None
    if len(source.secrets) != len(source.config.secrets) or (bare and reader.findings):
        raise FaultyConfigurationError(reader.findings)
    return source


def _explain_absence(path: Path, tree: YamlTree, reader: _Reader, name: str) -> NoReturn:
    sources = tree.value.get("sources") if isinstance(tree.value, dict) else None
    items = sources if isinstance(sources, list) else []
    names = [str(item["name"]) for item in items if isinstance(item, dict) and "name" in item]
    if name in names or not names:
        # It is perhaps declared, and what is wrong with the file keeps it from being found.
        reader.read()
        if reader.findings:
            raise FaultyConfigurationError(reader.findings)
    raise ConfigurationError(
        f"{path} declares no source `{name}`",
        hint=did_you_mean(name, names) or "add it under `sources:`",
    )


def _read_tree(path: Path) -> YamlTree:
    try:
        return read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the configuration file {path} cannot be read: {error}",
            hint="`hookwright init` writes one to begin with",
        ) from error
    except YamlFault as fault:
        hint = fault.hint or (_YAML_HINT if "no YAML" in str(fault) else None)
        finding = Finding(str(path), fault.line, fault.column, str(fault), hint)
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
        self._faults = FaultFinder(str(path), tree)
        self._file = str(path)
        self._folder = path.parent
        self._tree = tree
        self._environment = environment
        self._vendors = vendors

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found so far."""
        return self._faults.findings

    def read(self) -> Declared:
        """Give what the file declares; it holds only as long as there are no findings."""
        if not isinstance(self._tree.value, dict):
            self._faults.find((), "the file must hold keys such as `sources:` and `workflows:`")
            return Declared((), (), (), (), Retention())
        for key in self._tree.value:
            if key not in Configuration.model_fields:
                self._faults.find_key((key,), Configuration)
        if self._tree.value.get("subscriptions"):
            self._faults.find(
                ("subscriptions",),
                "this version sends no webhooks of its own",
                "remove `subscriptions`; `hookwright tail events --json` gives every event",
                key=True,
            )
        connections = tuple(self._connections())
        polls = tuple(self._polls({item.config.name: item.config for item in connections}))
        names = {item.config.name for item in connections}
        return Declared(
            sources=tuple(self.sources({item.config.name: item.config for item in connections})),
            connections=connections,
            polls=polls,
            workflows=tuple(self._workflows(names)),
            retention=self._faults.fit(
                ("retention",), Retention, self._tree.value.get("retention", {})
            )
            or Retention(),
        )

    # --- sections ------------------------------------------------------------------------------

    def sources(
        self, connections: Mapping[str, ConnectionConfig] | None = None
    ) -> Iterator[DeclaredSource]:
        """Give the sources, noting what is wrong with them.

        Without `connections` it is not looked whether those that sources name exist.
        """
        if not isinstance(self._tree.value, dict):
            return
        for path, config, lost in self._faults.items("sources", SourceConfig):
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
                self._faults.find((*path, "vendor"), f"{vendor.title} sends no webhooks")
            elif vendor is not None and vendor.incoming is not None:
                complete = len(good) == len(secrets) and not lost & {"secrets", "path_token"}
                self._check_incoming(path, config, vendor.incoming, good if complete else None)
                if connections is not None:
                    self._check_account(path, config, vendor, connections)
            yield DeclaredSource(config, good, token or None)

    def _check_incoming(
        self,
        path: TreePath,
        config: SourceConfig,
        incoming: Incoming,
        secrets: tuple[str, ...] | None,
    ) -> None:
        options = self._faults.fit((*path, "options"), incoming.options, config.options)
        if options is None or secrets is None:
            return
        if not incoming.wants_secret(options):
            if config.path_token is None:
                self._faults.find(
                    path,
                    f"the source `{config.name}` signs nothing and has no `path_token`",
                    "add one: `path_token: {env: NAME}`; the vendor sends to /hooks/NAME/TOKEN",
                )
        elif not secrets:
            self._faults.find(
                path,
                f"the source `{config.name}` has no secret to verify deliveries with",
                "add one: `secrets: [{env: NAME}]`",
            )
            return
        try:
            incoming.verifier(options, [Secret(value) for value in secrets])
        except ConfigurationError as error:
            self._faults.find((*path, "options"), error.message, error.hint)

    def _check_account(
        self,
        path: TreePath,
        config: SourceConfig,
        vendor: Vendor,
        connections: Mapping[str, ConnectionConfig],
    ) -> None:
        name = config.connection
        if name is not None and name not in connections:
            self._faults.find(
                (*path, "connection"),
                f"there is no connection `{name}`",
                did_you_mean(name, connections)
                or "no connection is declared yet; add it under `connections:`",
            )
        elif name is not None and connections[name].vendor != vendor.name:
            self._faults.find(
                (*path, "connection"),
                f"the connection `{name}` belongs to {connections[name].vendor}",
                f"name one with `vendor: {vendor.name}`",
            )
        if config.reconcile is None:
            return
        of_vendor = [one for one in connections.values() if one.vendor == vendor.name]
        if not vendor.records:
            self._faults.find(
                (*path, "reconcile"),
                f"{vendor.title} keeps no record to compare with",
                "remove `reconcile`",
                key=True,
            )
        elif name is None and len(of_vendor) != 1:
            self._faults.find(
                (*path, "reconcile"),
                f"the source `{config.name}` names no connection to ask {vendor.title} with",
                "add `connection: NAME` to the source",
                key=True,
            )
        else:
            self._check_records((*path, "reconcile", "records"), config.reconcile, vendor)

    def _check_records(self, path: TreePath, config: ReconcileConfig, vendor: Vendor) -> None:
        records = {record.name: record for record in vendor.records}
        for name, options in config.records.items():
            if name not in records:
                hint = did_you_mean(name, records)
                message = f"{vendor.title} has no record `{name}`"
                self._faults.find((*path, name), message, hint, key=True)
            elif records[name].learn is None:
                self._faults.fit((*path, name), records[name].options, options)

    def _connections(self) -> Iterator[DeclaredConnection]:
        for path, config, _lost in self._faults.items("connections", ConnectionConfig):
            owner = f"connection `{config.name}`"
            found = {
                name: self._secret((*path, "credentials", name), reference, owner)
                for name, reference in config.credentials.items()
            }
            credentials = {name: value for name, value in found.items() if value}
            vendor = self._vendor(path, config.vendor)
            if vendor is not None and vendor.outgoing is None:
                self._faults.find((*path, "vendor"), f"{vendor.title} is not called by Hookwright")
            elif vendor is not None and vendor.outgoing is not None:
                self._faults.fit((*path, "options"), vendor.outgoing.options, config.options)
                # One that is missing was named already; the model would say it again.
                if len(credentials) == len(found):
                    self._faults.fit(
                        (*path, "credentials"), vendor.outgoing.credentials, credentials
                    )
            yield DeclaredConnection(config, credentials)

    def _polls(self, connections: Mapping[str, ConnectionConfig]) -> Iterator[PollConfig]:
        for path, config, _lost in self._faults.items("polls", PollConfig):
            connection = connections.get(config.connection)
            if connection is None:
                self._faults.find(
                    (*path, "connection"),
                    f"there is no connection `{config.connection}`",
                    did_you_mean(config.connection, connections)
                    or "no connection is declared yet; add it under `connections:`",
                )
            elif (vendor := self._vendors.get(connection.vendor)) is not None:
                polls = {poll.name: poll for poll in vendor.polls}
                if config.poll in polls:
                    self._faults.fit((*path, "options"), polls[config.poll].options, config.options)
                else:
                    self._faults.find(
                        (*path, "poll"),
                        f"{vendor.title} has no poll `{config.poll}`",
                        did_you_mean(config.poll, polls),
                    )
            yield config

    def _workflows(self, connections: set[str]) -> Iterator[DeclaredWorkflow]:
        catalogue = build_catalogue(vendors=self._vendors.values(), connections=connections)
        names: dict[str, str] = {}
        entries = list(self._faults.items("workflows", WorkflowFile, lift=_lift_file))
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
                self._faults.find(
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
                    self._faults.findings.extend(error.findings)
                    continue
                except (OSError, UnicodeDecodeError) as error:
                    self._faults.find(path, f"{shown} cannot be read: {error}")
                    continue
                if document.name in names:
                    self._faults.find(
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
                self._faults.find(
                    (*path, "vars", name),
                    f"the workflow `{document.name}` has no var `{name}`",
                    did_you_mean(name, document.vars),
                    key=True,
                )

    # --- pieces --------------------------------------------------------------------------------

    def _vendor(self, path: TreePath, name: str) -> Vendor | None:
        vendor = self._vendors.get(name)
        if vendor is None:
            hint = did_you_mean(name, self._vendors)
            self._faults.find((*path, "vendor"), f"there is no vendor `{name}`", hint)
        return vendor

    def _secret(self, path: TreePath, reference: SecretReference, owner: str) -> str | None:
        try:
            return resolve_secret(reference, self._folder, self._environment)
        except SecretMissingError as error:
            self._faults.find(path, f"{error.message} (for {owner})", error.hint)
            return None


def _lift_file(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


def _matching(folder: Path, pattern: str) -> list[Path]:
    wanted = Path(pattern)
    if wanted.is_absolute():
        return sorted(Path(wanted.anchor).glob(str(wanted.relative_to(wanted.anchor))))
    return sorted(folder.glob(pattern))


def _is_pattern(file: str) -> bool:
    return any(character in file for character in "*?[")
