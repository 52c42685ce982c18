"""`audit list|change-key`: who did what, and the key with which that is sealed."""

from __future__ import annotations

import click

from schemas.clock import utc_now
from service import audit
from service.cli.audit_details import details_in_words
from service.cli.client import ApiClient, remote
from service.cli.machine import this_user
from service.cli.moments import since_option, until_option
from service.cli.output import json_option, moment, print_json
from service.cli.showing import limit_option, list_rows
from service.cli.tokens import writing
from service.sealing import change_key, replace_lost_key
from service.secretbox import SecretBox
from service.settings import load_settings


@click.group("audit")
def audit_command() -> None:
    """Audit: who did what. `hookwright verify` proves that it is all there."""


@audit_command.command("list", epilog="Example: hookwright audit list --action 'run.*'")
@click.option("--by", metavar="LABEL", help="Only what was done with this token's label.")
@click.option("--action", help="Only this, such as run.cancel; `*` stands for anything.")
@click.option("--subject", metavar="ID|NAME", help="Only what was done to this.")
@since_option
@until_option
@limit_option
@json_option
@remote
def audit_list(api: ApiClient, *, limit: int, as_json: bool, **filters: object) -> None:
    """List what people and programs with a token have done, newest first."""
    list_rows(
        api,
        "/audit-events",
        limit,
        ["at", "by", "action", "subject", "details", "remote"],
        lambda row: [
            moment(row["at"]),
            row["by"],
            row["action"],
            row["subject"],
            details_in_words(row["details"]),
            row["remote"],
        ],
        as_json=as_json,
        **filters,
    )


@audit_command.command("change-key", epilog="Example: hookwright audit change-key")
@click.option(
    "--lost",
    is_flag=True,
    help="The old key cannot be opened any more. Nothing vouches for the new one: `verify` says "
    "so until it is given to --public-key.",
)
@json_option
def audit_change_key(*, lost: bool, as_json: bool) -> None:
    """Seal with a new key from now on; the old one vouches for it.

    For when somebody may have read the old one. What it has sealed stays good. It works on the
    database itself, and needs HOOKWRIGHT_SECRET_KEYS.
    """
    box = SecretBox(load_settings().required_secret_keys())
    now = utc_now()
    with writing() as work:
        change = replace_lost_key if lost else change_key
        key_id = change(work.session, box, now=now)
        action = "sealing_key.lost" if lost else "sealing_key.change"
        audit.record(work.session, this_user(), action, key_id, now=now)
    if as_json:
        print_json({"key_id": key_id})
    else:
        click.echo(f"seals are signed with a new key from now on, key id {key_id}")
        click.echo("`hookwright verify --show-key` shows it; keep it elsewhere")
