"""Reading `hookwright.yaml` (contract §4): everything that is wrong with it is said at once.

Lives here: the file as a whole. What sources, connections and polls must mean is in
`configuration_sources.py`, its workflow documents are in `configuration_workflows.py`, and what is
done with a good file is in `apply.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from schemas.config import Configuration, PollConfig, Retention, SecretReference
from service.catalogue import build_catalogue
from service.configuration_faults import FaultFinder, FaultyConfigurationError
from service.configuration_sources import DeclaredConnection, DeclaredSource, SourceReader
from service.configuration_workflows import DeclaredWorkflow, WorkflowReader
from service.errors import ConfigurationError
from service.vendors import BY_NAME
from service.vendors.base import Vendor
from service.workflows.findings import Finding, did_you_mean
from service.workflows.yaml_tree import YamlFault, YamlTree, read_yaml

CONFIGURATION_FILE = "hookwright.yaml"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a good configuration file declares."""

    sources: tuple[DeclaredSource, ...]
    connections: tuple[DeclaredConnection, ...]
    polls: tuple[PollConfig, ...]
    workflows: tuple[DeclaredWorkflow, ...]
    retention: Retention


def read_configuration(
    path: Path, environment: Mapping[str, str], *, vendors: Mapping[str, Vendor] = BY_NAME
) -> Declared:
    """Read and check a configuration file with all it refers to.

    `environment` answers `{env: NAME}`. Raises FaultyConfigurationError naming file, line and
    column of everything that is wrong, ConfigurationError when there is no such file.
    """
    tree = _read_tree(path)
    reader = _Reader(path, tree, environment, vendors)
    declared = reader.read()
    if reader.findings:
        raise FaultyConfigurationError(reader.findings)
    return declared


def read_source(path: Path, environment: Mapping[str, str], name: str) -> DeclaredSource:
    """Give one source of a configuration file, whatever is wrong with the rest of the file.

    Raises ConfigurationError when there is no such source or its secrets cannot be had.
    """
    tree = _read_tree(path)
    reader = _Reader(path, tree, environment, BY_NAME)
    found = {item.config.name: item for item in reader.sources()}
    if name not in found:
        _explain_absence(path, tree, reader, name)
    source = found[name]
    # Secrets of a wrong shape are lost on the way, and nothing can be signed without them.
    bare = not source.secrets and source.path_token is None
    if len(source.secrets) != len(source.config.secrets) or (bare and reader.findings):
        raise FaultyConfigurationError(reader.findings)
    return source


def read_references(
    path: Path, environment: Mapping[str, str], name: str, vendor: str
) -> tuple[SecretReference, ...]:
    """Give where a source has its secrets, or else its path token, from; none when it is not there.

    Raises ConfigurationError when there is no such file, or it is no YAML.
    """
    reader = _Reader(path, _read_tree(path), environment, BY_NAME)
    for item in reader.sources():
        config = item.config
        if (config.name, config.vendor) == (name, vendor):
            return config.secrets or ((config.path_token,) if config.path_token else ())
    return ()


def read_workflows(path: Path) -> tuple[list[DeclaredWorkflow], list[Finding]]:
    """Give the workflows of a configuration file, and what is wrong with them.

    Whatever is wrong with the rest of the file: connections and sources are not looked at. Raises
    ConfigurationError when there is no such file.
    """
    tree = _read_tree(path)
    faults = FaultFinder(str(path), tree)
    if not isinstance(tree.value, dict):
        return [], []
    return WorkflowReader(faults, path).read(build_catalogue()), faults.findings


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
        self._faults = FaultFinder(str(path), tree)
        self._path = path
        self._tree = tree
        self._vendors = vendors
        self._by_vendor = SourceReader(self._faults, path.parent, environment, vendors)

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
        connections = tuple(self._by_vendor.connections())
        named = {item.config.name: item.config for item in connections}
        polls = tuple(self._by_vendor.polls(named))
        sources = tuple(self._by_vendor.sources(named))
        catalogue = build_catalogue(
            vendors=self._vendors,
            connections={name: config.vendor for name, config in named.items()},
            sources=[item.config.name for item in sources],
        )
        return Declared(
            sources=sources,
            connections=connections,
            polls=polls,
            workflows=tuple(WorkflowReader(self._faults, self._path).read(catalogue)),
            retention=self._faults.fit(
                ("retention",), Retention, self._tree.value.get("retention", {})
            )
            or Retention(),
        )

    def sources(self) -> Iterator[DeclaredSource]:
        """Give the sources alone; whether the connections they name exist is not looked at."""
        return self._by_vendor.sources() if isinstance(self._tree.value, dict) else iter(())
