"""Sources, connections and polls of `hookwright.yaml`: each held against what its vendor takes.

Lives here: what these three sections must mean besides their types, and the secrets they point to.
The file as a whole and its workflows are in `configuration.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.config import (
    ConnectionConfig,
    PollConfig,
    ReconcileConfig,
    SecretReference,
    SourceConfig,
)
from service.configuration_faults import FaultFinder
from service.connection_parts import checked_base_url, checked_headers, fits_header
from service.errors import ConfigurationError
from service.secret_references import SecretMissingError, resolve_secret
from service.vendors.base import Incoming, Outgoing, Secret, Vendor
from service.workflows.findings import did_you_mean
from service.workflows.yaml_tree import Path as TreePath


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


class SourceReader:
    """Reads the sections of one file that speak of vendors, and notes what is wrong with them."""

    def __init__(
        self,
        faults: FaultFinder,
        folder: Path,
        environment: Mapping[str, str],
        vendors: Mapping[str, Vendor],
    ) -> None:
        """Take where faults are noted; files of secrets are found from `folder`."""
        self._faults = faults
        self._folder = folder
        self._environment = environment
        self._vendors = vendors

    def sources(
        self, connections: Mapping[str, ConnectionConfig] | None = None
    ) -> Iterator[DeclaredSource]:
        """Give the sources, noting what is wrong with them.

        Without `connections` it is not looked whether those that sources name exist.
        """
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

    def connections(self) -> Iterator[DeclaredConnection]:
        """Give the connections, noting what is wrong with them."""
        for path, config, lost in self._faults.items("connections", ConnectionConfig):
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
                self._check_base_url(path, config)
                # One that is missing was named already; the model would say it again.
                complete = len(credentials) == len(found) and "credentials" not in lost
                self._check_outgoing(
                    path, config, vendor.outgoing, credentials if complete else None
                )
            yield DeclaredConnection(config, credentials)

    def _check_base_url(self, path: TreePath, config: ConnectionConfig) -> None:
        if config.base_url is None:
            return
        try:
            checked_base_url(config.base_url)
        except ConfigurationError as error:
            self._faults.find((*path, "base_url"), error.message, error.hint)

    def _check_outgoing(
        self,
        path: TreePath,
        config: ConnectionConfig,
        outgoing: Outgoing,
        given: Mapping[str, str] | None,
    ) -> None:
        options = self._faults.fit((*path, "options"), outgoing.options, config.options)
        if given is None:
            return
        credentials = self._faults.fit((*path, "credentials"), outgoing.credentials, given)
        if options is None or credentials is None:
            return
        try:
            checked_headers(outgoing.headers(credentials, options))
        except ConfigurationError as error:
            odd = [name for name, value in given.items() if not fits_header(value)]
            place = (*path, "credentials", *odd) if len(odd) == 1 else (*path, "credentials")
            self._faults.find(place, error.message, error.hint)

    def polls(self, connections: Mapping[str, ConnectionConfig]) -> Iterator[PollConfig]:
        """Give the polls, noting what is wrong with them; `connections` are those of the file."""
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
