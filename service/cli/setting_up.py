"""`migrate`, `init` and `apply`: what is done before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from schemas.clock import utc_now
from service.apply import Change, Changes, What, apply_configuration
from service.cli.machine import this_user
from service.cli.output import console, json_option, print_json, state
from service.configuration import read_configuration
from service.db import Database
from service.errors import ConfigurationError
from service.first_configuration import write_first_configuration
from service.queue import DramatiqQueue, make_broker
from service.retention_change import warn_of_archive
from service.secretbox import SecretBox
from service.settings import Effects, environment, load_settings
from service.store import revision, schema


@click.command("migrate", epilog="Example: hookwright migrate --check")
@click.option("--check", is_flag=True, help="Change nothing; fail when the tables are not current.")
@json_option
def migrate_command(*, check: bool, as_json: bool) -> int:
    """Bring the tables up to date. Several may start at once: one works, the others wait."""
    settings = load_settings()
    if not check:
        settings.make_data_dir()
    database = Database(settings.effective_database_url)
    try:
        done = [] if check else schema.upgrade(database)
        if done:
            schema.make_partitions(database)
        current = revision.is_current(database)
    finally:
        database.dispose()
    if as_json:
        print_json({"applied": done, "current": current})
    elif done:
        click.echo(f"applied: {', '.join(done)}")
    else:
        click.echo("the tables are up to date" if current else "the tables are not current")
    return 0 if current else 1


@click.command("init", epilog="Example: hookwright init && hookwright up")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@json_option
def init_command(*, folder: Path, as_json: bool) -> None:
    """Write a configuration to begin with, its secrets, and the workflows that come with us.

    Nothing that exists is overwritten.
    """
    settings = load_settings()
    try:
        written = write_first_configuration(folder, settings.data_dir)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or folder} cannot be written: {error.strerror or error}",
            hint="give a folder that you may write; HOOKWRIGHT_DATA_DIR is where secrets are kept",
        ) from error
    if as_json:
        print_json({"written": [str(path) for path in written]})
        return
    for path in written:
        click.echo(f"wrote {path}")
    there = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"\nNext: {there}hookwright up")


@click.command("apply", epilog="Example: hookwright apply -f hookwright.yaml --dry-run")
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    help="The file to apply (default: HOOKWRIGHT_CONFIG, or ./hookwright.yaml).",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@click.option("--prune", is_flag=True, help="Remove what an earlier file declared and this not.")
@json_option
def apply_command(*, file: Path | None, dry_run: bool, prune: bool, as_json: bool) -> None:
    """Make the configuration file take effect: all of it or, when a part is wrong, nothing."""
    settings = load_settings()
    declared = read_configuration(file or settings.config, environment())
    box = SecretBox(settings.required_secret_keys())
    database = Database(settings.effective_database_url)
    try:
        if not revision.is_current(database):
            raise ConfigurationError(
                "the tables are not current", hint="run `hookwright migrate` first"
            )
        changes = apply_configuration(
            declared,
            database=database,
            queue=DramatiqQueue(make_broker(None)),
            box=box,
            now=utc_now(),
            prune=prune,
            dry_run=dry_run,
            who=this_user(),
            shadow=settings.effects is Effects.SHADOW,
        )
    finally:
        database.dispose()
    unwritten = warn_of_archive(declared.retention, settings)
    for sentence in (*changes.warnings, *([unwritten] if unwritten else [])):
        click.echo(f"warning: {sentence}", err=True)
    if as_json:
        print_json(
            [
                {
                    "kind": item.kind,
                    "name": item.name,
                    "what": item.what,
                    "fields": item.fields,
                    "old": item.old,
                    "new": item.new,
                    "notes": item.notes,
                }
                for item in changes.items
            ]
        )
    else:
        _tell(changes, dry_run=dry_run)


_SIGNS = {
    What.CREATED: "+",
    What.UPDATED: "~",
    What.REMOVED: "-",
    What.LEFT: "?",
}


def _tell(changes: Changes, *, dry_run: bool) -> None:
    out = console()
    for item in changes.items:
        if item.what is What.UNCHANGED:
            continue
        line = state(item.what.value)
        line.plain = f"{_SIGNS[item.what]} {item.kind} {item.name}"
        line.append(f"  {item.what.value}")
        if item.fields:
            line.append(f" ({', '.join(_differing(item))})")
        out.print(line)
        for sentence in item.notes:
            out.print(f"    {sentence}", markup=False)
    counts = [f"{changes.count(what)} {what.value}" for what in What if changes.count(what)]
    out.print(("Would be: " if dry_run else "") + (", ".join(counts) or "nothing is declared"))
    if changes.count(What.LEFT):
        out.print("What is left is no longer in the file; --prune removes it.")


def _differing(item: Change) -> Iterator[str]:
    for name in item.fields:
        known = name in item.new
        yield f"{name} {item.old[name]} → {item.new[name]}" if known else name
