"""Making the database say what a configuration file declares: idempotent, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from schemas.config import PollConfig, ReconcileConfig, Retention
from schemas.configured_tables import ConnectionRow, PollRow, SourceRow, WorkflowRow
from schemas.events import Json
from service.audit import Who, note
from service.configuration import Declared
from service.configuration_faults import FaultyConfigurationError
from service.configuration_sources import DeclaredConnection, DeclaredSource
from service.configuration_workflows import DeclaredWorkflow
from service.db import Database, Session
from service.errors import ConfigurationError
from service.missing_connections import missing_connections
from service.queue import Queue
from service.retention_change import removals, retention_in_words
from service.retention_rules import POLICY, current_retention, plain_retention
from service.secretbox import SecretBox
from service.source_secrets import open_secrets, path_token_digest, seal_secrets
from service.store import applied
from service.store.marks import bump_mark
from service.store.policies import set_policy
from service.unit_of_work import unit_of_work
from service.untied_sources import warn_of_untied
from service.vendors import BY_NAME
from service.vendors.base import Secret, Vendor
from service.workflow_versions import members_of, set_version
from service.workflows.triggering import Member, circle_findings

Row = TypeVar("Row", SourceRow, ConnectionRow, PollRow)
Item = TypeVar("Item")
Opened = TypeVar("Opened")
Values = Mapping[str, Any]


class What(StrEnum):
    """What became of one thing the file names, or no longer names."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    LEFT = "left"
    """An earlier file declared it, this one does not; `prune` removes it."""


_POLICY = "policy"
"""A kind that nobody keeps in memory: no mark has to tell of its changes."""
_VERBS = {What.CREATED: "create", What.UPDATED: "update", What.REMOVED: "remove"}
_NEWS = frozenset(_VERBS)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of what was done. `fields` names what differs.

    `old` and `new` say how, in words, where the values can be no secrets; `notes` what follows.
    """

    kind: str
    name: str
    what: What
    fields: tuple[str, ...] = ()
    old: Mapping[str, str] = field(default_factory=dict)
    new: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that was done, kind by kind, and what should be looked at.

    `untied` tells of sources without an account, `missing` of accounts that workflows need.
    """

    items: tuple[Change, ...]
    untied: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything that should be looked at."""
        return self.untied + self.missing

    @property
    def changed(self) -> bool:
        """Say whether anything is different now."""
        return any(item.what in _NEWS for item in self.items)

    def count(self, what: What) -> int:
        """Give how many things this became of."""
        return sum(item.what is what for item in self.items)


def apply_configuration(
    declared: Declared,
    *,
    database: Database,
    queue: Queue,
    box: SecretBox,
    now: datetime,
    prune: bool = False,
    dry_run: bool = False,
    shadow: bool = False,
    vendors: Mapping[str, Vendor] = BY_NAME,
    who: Who = "Hookwright",
    also: Callable[[Session], None] = lambda _: None,
) -> Changes:
    """Make the database say what the file declares and tell what that changed.

    `prune` removes what an earlier file declared and this one does not; a workflow is then only
    switched off, for its runs are history. `dry_run` only tells. `shadow`: the installation makes
    no effects, and needs fewer connections. `also` is done at the end of the same transaction.
    Raises Unavailable.
    """
    with unit_of_work(database, queue) as work:
        # Changing this row first lets two processes that apply at the same time take turns.
        bump_mark(work.session, "configuration")
        applier = _Applier(work.session, box, now, prune=prune)
        items = tuple(applier.apply(declared))
        for kind in dict.fromkeys(item.kind for item in items if item.what in _NEWS):
            if kind != _POLICY:
                bump_mark(work.session, f"{kind}s")
        _note(work.session, who, items, now)
        also(work.session)
        work.session.flush()
        missing = missing_connections(work.session, vendors, shadow=shadow, brief=True)
        if dry_run:
            work.session.rollback()
    untied = warn_of_untied(declared, applier.ties, vendors)
    return Changes(items, tuple(untied), tuple(missing))


def _note(session: Session, who: Who, items: Iterable[Change], now: datetime) -> None:
    """Note who changed what; of most values only which, for they may be secrets."""
    for item in items:
        if item.what in _NEWS:
            noted: dict[str, Json] = {"from_file": True, "fields": list(item.fields)}
            if item.new:
                noted |= {"old": dict(item.old), "new": dict(item.new)}
            action = f"{item.kind}.{_VERBS[item.what]}"
            note(session, who, action, item.name, now=now, details=noted)


class _Applier:
    """Compares what is declared with what there is, in one transaction."""

    def __init__(self, session: Session, box: SecretBox, now: datetime, *, prune: bool) -> None:
        self._session = session
        self._box = box
        self._now = now
        self._prune = prune
        self.ties: dict[str, str | None] = {}
        """The connections of the sources that were applied, by the sources' names."""

    def apply(self, declared: Declared) -> Iterator[Change]:
        """Apply everything, in the order in which it is told."""
        sources = {item.config.name: item for item in declared.sources}
        connections = {item.config.name: item for item in declared.connections}
        polls = {item.name: item for item in declared.polls}
        accounts = _accounts(declared)
        yield from self._rows(
            "source", SourceRow, sources, lambda item, row: self._source(item, row, accounts)
        )
        yield from self._rows("connection", ConnectionRow, connections, self._connection)
        yield from self._rows("poll", PollRow, polls, self._poll)
        yield from self._workflows(declared.workflows)
        yield from self._retention(declared.retention)

    def _retention(self, retention: Retention) -> Iterator[Change]:
        """Say for how long rows are kept where every worker finds it; tells only what changes."""
        was, after = current_retention(self._session), plain_retention(retention)
        fields = tuple(name for name, value in plain_retention(was).items() if after[name] != value)
        if fields:
            set_policy(self._session, POLICY, after, now=self._now)
            old, new = retention_in_words(was), retention_in_words(retention)
            yield Change(
                _POLICY,
                POLICY,
                What.UPDATED,
                fields,
                old={name: old[name] for name in fields},
                new={name: new[name] for name in fields},
                notes=removals(was, retention),
            )

    def _rows(
        self,
        kind: str,
        model: type[Row],
        declared: Mapping[str, Item],
        values_of: Callable[[Item, Row | None], Values],
    ) -> Iterator[Change]:
        rows = applied.rows_by_name(self._session, model)
        for name, item in declared.items():
            row = rows.pop(name, None)
            values = {**values_of(item, row), "from_file": True}
            if row is None:
                self._session.add(model(name=name, updated_at=self._now, **values))
                yield Change(kind, name, What.CREATED)
                continue
            fields = tuple(name for name, value in values.items() if getattr(row, name) != value)
            for changed in fields:
                setattr(row, changed, values[changed])
            if fields:
                row.updated_at = self._now
            yield Change(kind, name, What.UPDATED if fields else What.UNCHANGED, fields)
        for name, row in sorted(rows.items()):
            if row.from_file and self._prune:
                self._session.delete(row)
            if row.from_file:
                yield Change(kind, name, What.REMOVED if self._prune else What.LEFT)

    def _source(
        self, item: DeclaredSource, row: SourceRow | None, accounts: Mapping[str, str]
    ) -> Values:
        config = item.config
        known = None if row is None or row.vendor != config.vendor else row.connection
        reconcile = None if config.reconcile is None else _plain_reconcile(config.reconcile)
        every = None if config.reconcile is None else config.reconcile.every
        due_at = None if every is None else self._now + every
        if row is not None and row.reconcile == reconcile:
            due_at = row.reconcile_due_at
        secrets = [Secret(value) for value in item.secrets]
        kept = None if row is None else self._kept(row.secrets, open_secrets, secrets)
        # What was once tied stays so: facts that are known under one account would come again
        # under another.
        tie = config.connection or known or accounts.get(config.name)
        self.ties[config.name] = tie
        return {
            "vendor": item.config.vendor,
            "secrets": kept or seal_secrets(self._box, secrets),
            "path_token_sha256": item.path_token and path_token_digest(item.path_token),
            "options": item.config.options,
            "limits": item.config.limits.model_dump(mode="json"),
            "enabled": item.config.enabled,
            "connection": tie,
            "reconcile": reconcile,
            "reconcile_due_at": due_at,
        }

    def _connection(self, item: DeclaredConnection, row: ConnectionRow | None) -> Values:
        credentials = dict(item.credentials)
        kept = None if row is None else self._kept(row.credentials, SecretBox.open, credentials)
        return {
            "vendor": item.config.vendor,
            "base_url": item.config.base_url,
            "credentials": kept or self._box.seal(credentials),
            "options": item.config.options,
        }

    def _poll(self, item: PollConfig, row: PollRow | None) -> Values:
        values: dict[str, Any] = {
            "connection": item.connection,
            "poll": item.poll,
            "every_seconds": item.every.total_seconds(),
            "options": item.options,
            "enabled": True,
        }
        if row is None:
            return {**values, "due_at": self._now}
        if any(getattr(row, name) != value for name, value in values.items()):
            # What was answered to another question is no position of this one.
            same = (row.connection, row.poll) == (item.connection, item.poll)
            values |= {"due_at": self._now, "position": row.position if same else None}
        return values

    def _kept(
        self, sealed: bytes, opened_by: Callable[[SecretBox, bytes], Opened], wanted: Opened
    ) -> bytes | None:
        # Sealing the same secret twice gives two texts: only what is inside can be compared.
        try:
            return sealed if opened_by(self._box, sealed) == wanted else None
        except ConfigurationError:
            return None

    def _workflows(self, declared: Sequence[DeclaredWorkflow]) -> Iterator[Change]:
        rows = applied.rows_by_name(self._session, WorkflowRow)
        names = {item.document.name for item in declared}
        self._check_circles(declared, [row for row in rows.values() if row.name not in names])
        for item in declared:
            row = rows.pop(item.document.name, None)
            yield self._workflow(item, row)
        for name, row in sorted(rows.items()):
            if not row.from_file:
                continue
            if self._prune:
                row.enabled = row.from_file = False
                row.updated_at = self._now
            yield Change("workflow", name, What.REMOVED if self._prune else What.LEFT)

    def _check_circles(
        self, declared: Sequence[DeclaredWorkflow], others: Sequence[WorkflowRow]
    ) -> None:
        """Refuse workflows that set one another off together with those that stay beside them."""
        members = [Member(item.document, item.file, item.text) for item in declared]
        staying = [row for row in others if not (row.from_file and self._prune)]
        members += members_of(self._session, staying)
        findings = circle_findings(members)
        if findings:
            raise FaultyConfigurationError(findings)

    def _workflow(self, item: DeclaredWorkflow, row: WorkflowRow | None) -> Change:
        name = item.document.name
        is_new = row is None
        if row is None:
            row = WorkflowRow(name=name, from_file=True, updated_at=self._now)
            self._session.add(row)
            self._session.flush()
        fields = []
        if set_version(self._session, row, item.document, item.vars, item.text, now=self._now):
            fields.append("document")
        if not row.from_file:
            # What an earlier file declared no more is switched on again; what a person has
            # switched off stays off.
            fields.append("enabled")
            row.enabled = row.from_file = True
        if fields:
            row.updated_at = self._now
        if is_new:
            return Change("workflow", name, What.CREATED)
        return Change("workflow", name, What.UPDATED if fields else What.UNCHANGED, tuple(fields))


def _accounts(declared: Declared) -> dict[str, str]:
    """Give the connections of sources that name none: the only one, of the only source."""
    found = {}
    for item in declared.sources:
        vendor = item.config.vendor
        sources = [one for one in declared.sources if one.config.vendor == vendor]
        connections = [one for one in declared.connections if one.config.vendor == vendor]
        if len(sources) == len(connections) == 1:
            found[item.config.name] = connections[0].config.name
    return found


def _plain_reconcile(config: ReconcileConfig) -> dict[str, Any]:
    return {
        "every": None if config.every is None else config.every.total_seconds(),
        "since": config.since.total_seconds(),
        "records": config.records,
    }
