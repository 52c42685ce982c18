"""Applying a configuration file: idempotent, all or nothing, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from schemas.configured_tables import (
    ConnectionRow,
    PollRow,
    SourceRow,
    WorkflowRow,
    WorkflowVersionRow,
)
from schemas.evidence_tables import AuditEventRow
from service.apply import Changes, What, apply_configuration
from service.configuration import read_configuration
from service.configuration_faults import FaultyConfigurationError
from service.db import Database
from service.queue import DramatiqQueue, make_broker
from service.retention_rules import current_retention
from service.secretbox import SecretBox
from service.source_secrets import open_secrets, path_token_digest
from service.store.marks import read_mark
from service.tokens import Caller, Role
from service.unit_of_work import reading, unit_of_work

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = "a-key-that-is-long-enough-for-tests"
QUEUE = DramatiqQueue(make_broker(None))

CONFIGURATION = """\
sources:
  - name: vibeview
    vendor: vibeview
    secrets: [{value: first-secret}]
  - name: other
    vendor: generic
    options: {scheme: none}
    path_token: {value: token-of-the-path}
connections:
  - {name: slack, vendor: slack, credentials: {bot_token: {value: xoxb-one}}}
  - {name: vibeview, vendor: vibeview, credentials: {api_token: {value: tok_one}}}
polls:
  - {name: credits, connection: vibeview, poll: credit_balance, every: 5m}
workflows: [workflows/*.yaml]
"""
WORKFLOW = """\
name: tell
on:
  - event: test_run.failed
vars: {severity: warning}
steps:
  - id: opened
    uses: alert.open
    with: {key: "run:${{ event.subject }}", title: A run failed, severity: "${{ vars.severity }}"}
"""

Apply = Callable[..., Changes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "tell.yaml").write_text(WORKFLOW)
    return tmp_path


@pytest.fixture
def apply(database: Database, folder: Path) -> Apply:
    """`apply(text, **options)` applies a file's text and gives the changes."""

    def apply_text(
        text: str = CONFIGURATION, *, keys: tuple[str, ...] = (KEY,), **more: Any
    ) -> Changes:
        path = folder / "hookwright.yaml"
        path.write_text(text)
        return apply_configuration(
            read_configuration(path, {}),
            database=database,
            queue=QUEUE,
            box=SecretBox(keys),
            now=more.pop("now", NOW),
            **more,
        )

    return apply_text


def what(changes: Changes) -> dict[str, str]:
    return {f"{item.kind} {item.name}": item.what.value for item in changes.items}


def rows(database: Database, model: type[Any]) -> dict[str, Any]:
    with reading(database) as session:
        return {row.name: row for row in session.exec(select(model))}


def mark(database: Database, name: str) -> int:
    with reading(database) as session:
        return read_mark(session, name)


def test_what_is_declared_is_created_with_its_secrets_sealed(
    database: Database, apply: Apply
) -> None:
    changes = apply()
    assert set(what(changes).values()) == {"created"}
    assert changes.changed
    source = rows(database, SourceRow)["vibeview"]
    assert b"first-secret" not in source.secrets
    opened = open_secrets(SecretBox([KEY]), source.secrets)
    assert [secret.value for secret in opened] == ["first-secret"]
    assert (source.from_file, source.enabled) == (True, True)
    other = rows(database, SourceRow)["other"]
    assert other.path_token_sha256 == path_token_digest("token-of-the-path")
    connection = rows(database, ConnectionRow)["slack"]
    assert SecretBox([KEY]).open(connection.credentials) == {"bot_token": "xoxb-one"}
    poll = rows(database, PollRow)["credits"]
    assert (poll.every_seconds, poll.due_at, poll.enabled) == (300, NOW, True)
    workflow = rows(database, WorkflowRow)["tell"]
    with reading(database) as session:
        version = session.get(WorkflowVersionRow, workflow.current_version_id)
    assert version is not None
    assert (version.number, version.source_text) == (1, WORKFLOW)
    assert all(mark(database, name) == 1 for name in ("sources", "connections", "workflows"))


def test_applying_again_changes_nothing_at_all(database: Database, apply: Apply) -> None:
    apply()
    before = rows(database, SourceRow)["vibeview"]
    changes = apply(now=NOW + timedelta(hours=1))
    assert set(what(changes).values()) == {"unchanged"}
    assert not changes.changed
    assert rows(database, SourceRow)["vibeview"].secrets == before.secrets
    assert rows(database, ConnectionRow)["slack"].updated_at == NOW
    assert mark(database, "sources") == 1


def test_a_new_secret_is_an_update_that_is_named_and_not_shown(
    database: Database, apply: Apply
) -> None:
    apply()
    later = NOW + timedelta(hours=1)
    text = CONFIGURATION.replace(
        "[{value: first-secret}]", "[{value: second-secret}, {value: first-secret}]"
    )
    changes = apply(text, now=later)
    (changed,) = [item for item in changes.items if item.what is What.UPDATED]
    assert (changed.kind, changed.name, changed.fields) == ("source", "vibeview", ("secrets",))
    assert rows(database, SourceRow)["vibeview"].updated_at == later
    assert (mark(database, "sources"), mark(database, "connections")) == (2, 1)


def test_a_lost_secret_key_seals_anew(database: Database, apply: Apply) -> None:
    apply()
    other = "another-key-that-is-long-enough-too"
    assert what(apply(keys=(other, KEY)))["connection slack"] == "unchanged"
    assert what(apply(keys=(other,)))["connection slack"] == "updated"
    sealed = rows(database, ConnectionRow)["slack"].credentials
    assert SecretBox([other]).open(sealed) == {"bot_token": "xoxb-one"}


def test_a_changed_document_is_a_new_version_and_old_ones_stay(
    database: Database, apply: Apply, folder: Path
) -> None:
    apply()
    (folder / "workflows" / "tell.yaml").write_text(WORKFLOW + "description: Tells.\n")
    assert what(apply())["workflow tell"] == "updated"
    # A comment is no other document.
    (folder / "workflows" / "tell.yaml").write_text("# why\n" + WORKFLOW + "description: Tells.\n")
    assert what(apply())["workflow tell"] == "unchanged"
    text = CONFIGURATION.replace(
        "[workflows/*.yaml]", "[{file: workflows/*.yaml, vars: {severity: critical}}]"
    )
    assert what(apply(text))["workflow tell"] == "updated"
    with reading(database) as session:
        versions = session.exec(select(WorkflowVersionRow)).all()
    assert sorted((version.number, str(version.vars)) for version in versions) == [
        (1, "{}"),
        (2, "{}"),
        (3, "{'severity': 'critical'}"),
    ]


def test_what_is_no_longer_declared_is_left_until_it_is_pruned(
    database: Database, apply: Apply, folder: Path
) -> None:
    apply()
    with unit_of_work(database, QUEUE) as work:
        work.session.add(
            ConnectionRow(name="by-hand", vendor="slack", credentials=b"", updated_at=NOW)
        )
    (folder / "workflows" / "tell.yaml").rename(folder / "tell.yaml.off")
    text = "sources: [{name: vibeview, vendor: vibeview, secrets: [{value: first-secret}]}]\n"
    left = what(apply(text))
    assert left["connection slack"] == left["workflow tell"] == "left"
    assert "connection by-hand" not in left
    assert set(rows(database, ConnectionRow)) == {"slack", "vibeview", "by-hand"}
    pruned = what(apply(text, prune=True))
    assert pruned["poll credits"] == pruned["workflow tell"] == "removed"
    assert set(rows(database, ConnectionRow)) == {"by-hand"}
    assert rows(database, PollRow) == {}
    # Its runs are history: the workflow is only switched off, and a later file switches it on.
    assert rows(database, WorkflowRow)["tell"].enabled is False
    (folder / "tell.yaml.off").rename(folder / "workflows" / "tell.yaml")
    assert what(apply())["workflow tell"] == "updated"
    assert rows(database, WorkflowRow)["tell"].enabled is True


def test_a_dry_run_tells_and_changes_nothing(database: Database, apply: Apply) -> None:
    assert set(what(apply(dry_run=True)).values()) == {"created"}
    assert rows(database, SourceRow) == {}
    assert mark(database, "sources") == 0


def test_a_file_with_a_fault_changes_nothing(database: Database, apply: Apply) -> None:
    with pytest.raises(FaultyConfigurationError):
        apply(CONFIGURATION + "retentoin: {}\n")
    assert rows(database, SourceRow) == {}


def test_the_position_of_a_poll_is_kept_until_it_asks_something_else(
    database: Database, apply: Apply
) -> None:
    apply()
    with unit_of_work(database, QUEUE) as work:
        poll = work.session.exec(select(PollRow)).one()
        poll.position = {"tier": "warn"}
        poll.due_at = NOW + timedelta(days=1)
    apply(CONFIGURATION.replace("every: 5m", "every: 1m"))
    kept = rows(database, PollRow)["credits"]
    assert (kept.position, kept.every_seconds, kept.due_at) == ({"tier": "warn"}, 60, NOW)
    other = CONFIGURATION.replace("connection: vibeview, poll", "connection: second, poll").replace(
        "polls:",
        "  - {name: second, vendor: vibeview, credentials: {api_token: {value: tok_two}}}\npolls:",
    )
    apply(other)
    assert rows(database, PollRow)["credits"].position is None


def test_two_processes_may_apply_the_same_file_at_once(
    database: Database, folder: Path, apply: Apply
) -> None:
    (folder / "hookwright.yaml").write_text(CONFIGURATION)
    declared = read_configuration(folder / "hookwright.yaml", {})
    url = database.url.render_as_string(hide_password=False)
    found: list[Changes] = []

    def run() -> None:
        own = Database(url)
        found.append(
            apply_configuration(declared, database=own, queue=QUEUE, box=SecretBox([KEY]), now=NOW)
        )
        own.dispose()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(changes.count(What.CREATED) for changes in found) == [0, 0, 0, 6]
    assert not apply().changed


def accounts(database: Database) -> dict[str, str | None]:
    return {name: row.connection for name, row in rows(database, SourceRow).items()}


SECOND = "  - {name: second, vendor: vibeview, credentials: {api_token: {value: tok_two}}}\n"


def test_the_only_source_and_the_only_connection_of_a_vendor_belong_together(
    database: Database, apply: Apply
) -> None:
    apply()
    assert accounts(database) == {"vibeview": "vibeview", "other": None}


def test_what_was_once_tied_stays_so_until_another_account_is_named(
    database: Database, apply: Apply
) -> None:
    """Else facts that are known under one account would come again under another."""
    apply()
    two = CONFIGURATION.replace("polls:\n", f"{SECOND}polls:\n")
    apply(two)
    assert accounts(database)["vibeview"] == "vibeview"
    apply(two.replace("[{value: first-secret}]", "[{value: first-secret}]\n    connection: second"))
    assert accounts(database)["vibeview"] == "second"


def test_of_two_connections_none_is_chosen_for_a_new_source(
    database: Database, apply: Apply
) -> None:
    apply(CONFIGURATION.replace("polls:\n", f"{SECOND}polls:\n"))
    assert accounts(database)["vibeview"] is None


UNTIED = "the source `{}` is tied to no connection of VibeView"


def test_a_source_whose_facts_would_double_is_told_with_what_to_add(apply: Apply) -> None:
    two = CONFIGURATION.replace("polls:\n", f"{SECOND}polls:\n")
    (warning,) = apply(two, dry_run=True).warnings
    assert warning.startswith(UNTIED.format("vibeview"))
    assert "add `connection: NAME (vibeview or second)`" in warning
    named = two.replace(
        "[{value: first-secret}]", "[{value: first-secret}]\n    connection: second"
    )
    assert apply(named).warnings == ()


def test_two_sources_with_one_connection_are_told(apply: Apply) -> None:
    again = CONFIGURATION.replace(
        "connections:\n",
        "  - {name: again, vendor: vibeview, secrets: [{value: other-secret}]}\nconnections:\n",
    )
    found = apply(again).warnings
    assert len(found) == 2
    assert found[0].startswith(UNTIED.format("vibeview"))
    assert found[1].startswith(UNTIED.format("again"))
    assert all("add `connection: vibeview`" in line for line in found)


def test_nothing_is_told_where_nothing_can_double(apply: Apply) -> None:
    """One source with one connection is tied; Slack is asked for nothing; one tied stays so."""
    slack = (
        "  - {name: s, vendor: slack, secrets: [{value: slack-secret}]}\n"
        "  - {name: t, vendor: slack, secrets: [{value: slack-secret}]}\nconnections:\n"
    )
    assert apply(CONFIGURATION.replace("connections:\n", slack)).warnings == ()
    assert apply(CONFIGURATION.replace("polls:\n", f"{SECOND}polls:\n")).warnings == ()


def test_a_schedule_of_comparisons_begins_and_is_not_put_off_by_applying_again(
    database: Database, apply: Apply
) -> None:
    scheduled = CONFIGURATION.replace(
        "[{value: first-secret}]", "[{value: first-secret}]\n    reconcile: {every: 1h, since: 2d}"
    )
    apply(scheduled)
    row = rows(database, SourceRow)["vibeview"]
    assert row.reconcile == {"every": 3600.0, "since": 172800.0, "records": {}}
    assert row.reconcile_due_at == NOW + timedelta(hours=1)
    apply(scheduled, now=NOW + timedelta(minutes=30))
    assert rows(database, SourceRow)["vibeview"].reconcile_due_at == NOW + timedelta(hours=1)
    apply(scheduled.replace("every: 1h", "every: 5m"), now=NOW + timedelta(minutes=30))
    due_at = rows(database, SourceRow)["vibeview"].reconcile_due_at
    assert due_at == NOW + timedelta(minutes=35)
    apply()
    row = rows(database, SourceRow)["vibeview"]
    assert (row.reconcile, row.reconcile_due_at) == (None, None)


def test_workflows_that_were_left_count_among_those_that_set_one_another_off(
    database: Database, apply: Apply, folder: Path
) -> None:
    one = "name: one\non: [{event: x.one}]\nsteps: [{emit: {type: x.two}}]\n"
    (folder / "workflows" / "one.yaml").write_text(one)
    apply()
    (folder / "workflows" / "one.yaml").unlink()
    two = "name: two\non: [{event: x.two}]\nsteps: [{emit: {type: x.one}}]\n"
    (folder / "workflows" / "two.yaml").write_text(two)
    with pytest.raises(FaultyConfigurationError, match="`one` would set itself off") as caught:
        apply()
    assert "one (applied):3" in str(caught.value)
    assert "two" not in rows(database, WorkflowRow)
    assert what(apply(prune=True))["workflow two"] == "created"


def test_how_long_rows_are_kept_is_known_to_every_worker(apply: Apply, database: Database) -> None:
    apply()
    longer = apply(CONFIGURATION + "retention: {runs: 200d, archive: {directory: /srv/old}}\n")
    told = [(item.kind, item.name, item.what, item.fields) for item in longer.items[-1:]]
    assert told == [("policy", "retention", What.UPDATED, ("runs", "archive"))]
    with reading(database) as session:
        retention = current_retention(session)
    assert (retention.runs, retention.archive_directory) == (timedelta(days=200), "/srv/old")
    assert apply(CONFIGURATION).items[-1].fields == ("runs", "archive")
    assert not apply(CONFIGURATION).changed


def test_what_is_kept_for_a_shorter_time_is_said_and_noted_with_both_values(
    apply: Apply, database: Database
) -> None:
    apply()
    changed = apply(
        CONFIGURATION + "retention: {deliveries: 36h, runs: 200d, archive: true}\n",
        who=Caller("somebody", Role.ADMIN, None),
    ).items[-1]
    old = {"deliveries": "30d", "runs": "90d", "archive": "off"}
    new = {"deliveries": "36h", "runs": "200d", "archive": "in archive"}
    assert (changed.old, changed.new) == (old, new)
    assert changed.notes == (
        "deliveries, events older than 36h will be removed, once they are archived",
    )
    with reading(database) as session:
        noted = session.exec(
            select(AuditEventRow).where(col(AuditEventRow.action) == "policy.update")
        ).one()
    assert (noted.details["old"], noted.details["new"]) == (old, new)


NEEDING = """\
name: {name}
on: [{{event: test_run.failed}}]
mode: {mode}
steps:
  - {{id: note, uses: slack.message, {connection}with: {{text: x}}}}
  - {{id: state, uses: github.pull_request, with: {{repo: a/b, number: 1}}}}
  - {{id: go, approval: {{ask: slack, text: x, {connection}}}}}
"""


def test_workflows_that_need_an_account_that_is_not_there_are_named(
    apply: Apply, folder: Path
) -> None:
    for name, mode, connection in (
        ("one", "live", ""),
        ("two", "live", "connection: slack"),
        ("three", "shadow", ""),
    ):
        written = connection and f"{connection}, "
        text = NEEDING.format(name=name, mode=mode, connection=written)
        (folder / "workflows" / f"{name}.yaml").write_text(text)
    slack = "  - {name: slack, vendor: slack, credentials: {bot_token: {value: xoxb-one}}}\n"
    (missing,) = apply().missing
    assert missing == ("workflows need connections that are not there: GitHub (one, three, two)")
    two = CONFIGURATION.replace("polls:\n", f"{slack.replace('slack,', 'chat,', 1)}polls:\n")
    several, again = apply(two).missing
    assert again == missing
    assert several.startswith("the workflow one needs a connection of Slack, and there are several")
    assert "name one of chat, slack with `connection:`" in several
    assert apply(two, shadow=True).missing == (missing,)


def test_of_many_accounts_that_are_not_there_only_the_vendors_are_named(
    apply: Apply, folder: Path
) -> None:
    text = """\
name: many
on: [{event: test_run.failed}]
steps:
  - {id: read, uses: github.pull_request, with: {repo: a/b, number: 1}}
  - {id: agent, uses: checkrd.agent, with: {agent_id: one}}
  - {id: tests, uses: checksum.run_status, with: {name: one, run_id: "1"}}
"""
    (folder / "workflows" / "many.yaml").write_text(text)
    (missing,) = apply().missing
    assert missing == (
        "workflows need connections that are not there: GitHub, Checkrd, Checksum;"
        " `hookwright doctor` says which need which"
    )
