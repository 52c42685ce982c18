"""`token create|list|revoke`, on the database itself: the first token needs no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import click

from schemas.clock import utc_now
from schemas.config import parse_duration
from schemas.upkeep_tables import TokenRow
from service import audit
from service.cli.machine import this_user
from service.cli.output import json_option, moment, print_json, print_table
from service.db import Database
from service.errors import ConfigurationError, Invalid
from service.queue import DramatiqQueue, make_broker
from service.settings import load_settings
from service.store import revision
from service.store import tokens as store
from service.tokens import Role, create_token, revoke_token
from service.unit_of_work import UnitOfWork, reading, unit_of_work


@click.group("token")
def token_command() -> None:
    """Tokens of the API: made, listed and revoked on the database itself."""


@token_command.command("create", epilog="Example: hookwright token create --role viewer --label ci")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.VIEWER.value)
@click.option("--label", required=True, help="What the token is for.")
@click.option("--expires", help="After how long it ends, such as 30d (default: never).")
@json_option
def create(*, role: str, label: str, expires: str | None, as_json: bool) -> None:
    """Make a token. It is shown this once."""
    now = utc_now()
    with writing() as work:
        row, token = create_token(
            work.session,
            label=label,
            role=Role(role),
            now=now,
            expires_at=None if expires is None else now + _span(expires),
        )
        noted = {"label": label, "role": role, "expires": expires}
        audit.record(work.session, this_user(), "token.create", str(row.id), now=now, details=noted)
        shown = {**_shape(row), "token": token}
    if as_json:
        print_json(shown)
    else:
        click.echo(token)
        click.echo(f"role {role}, label {label}; it is not shown again", err=True)


@token_command.command("list", epilog="Example: hookwright token list --json")
@json_option
def list_tokens(*, as_json: bool) -> None:
    """List tokens, newest first, without their secret part."""
    with _opened() as database, reading(database) as session:
        rows = [_shape(row) for row in store.every_token(session)]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["id", "begins with", "role", "label", "expires", "revoked"],
        [
            [row["id"], row["prefix"], row["role"], row["label"], _when(row["expires_at"]),
             _when(row["revoked_at"])]
            for row in rows
        ],
        empty="no tokens yet",
    )  # fmt: skip


@token_command.command("revoke", epilog="Example: hookwright token revoke hw_3f9a2c")
@click.argument("name")
@json_option
def revoke(*, name: str, as_json: bool) -> None:
    """Revoke the token with this id, beginning or label."""
    now = utc_now()
    with writing() as work:
        row = revoke_token(work.session, name, now=now)
        noted = {"label": row.label, "role": row.role}
        audit.record(work.session, this_user(), "token.revoke", str(row.id), now=now, details=noted)
        shown = _shape(row)
    if as_json:
        print_json(shown)
    else:
        click.echo(f"revoked {shown['prefix']}… ({shown['label']})")


@contextmanager
def _opened() -> Iterator[Database]:
    database = Database(load_settings().effective_database_url)
    try:
        if not revision.is_current(database):
            raise ConfigurationError(
                "the tables are not current", hint="run `hookwright migrate` first"
            )
        yield database
    finally:
        database.dispose()


@contextmanager
def writing() -> Iterator[UnitOfWork]:
    """Open a transaction on the installation's database. Raises ConfigurationError, Unavailable."""
    queue = DramatiqQueue(make_broker(None))
    with _opened() as database, unit_of_work(database, queue) as work:
        yield work


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise Invalid(str(error)) from error
    if not isinstance(span, timedelta) or span <= timedelta(0):
        raise Invalid(f"{text!r} is no time to live")
    return span


def _when(text: object) -> str | None:
    return None if text is None else moment(str(text))


def _shape(row: TokenRow) -> dict[str, object]:
    times = ("created_at", "expires_at", "revoked_at")
    return {
        "id": str(row.id),
        "label": row.label,
        "role": row.role,
        "prefix": row.prefix,
        **{name: value.isoformat() if (value := getattr(row, name)) else None for name in times},
    }
