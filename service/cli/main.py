"""The command `hookwright`: its commands by name, and how their mistakes are told."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import click

from service.afterwards import loading
from service.errors import ConfigurationError, HookwrightError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class Entry(NamedTuple):
    """Where a command is, and its line in the list of commands."""

    module: str
    name: str
    summary: str


_COMMANDS = {
    "up": Entry("serving", "up", "Everything in one process: migrate, apply, receive and work."),
    "serve": Entry("serving", "serve", "Receive deliveries and serve the API."),
    "work": Entry("serving", "work", "Perform what is to be done."),
    "migrate": Entry("setting_up", "migrate", "Bring the tables up to date."),
    "init": Entry("setting_up", "init", "Write a configuration to begin with."),
    "apply": Entry("setting_up", "apply", "Make the configuration file take effect."),
    "doctor": Entry("doctor", "doctor", "Say what is wrong here, and what to do now."),
    "send": Entry("sending", "send", "Send a signed sample as a vendor would."),
    "tail": Entry("following", "tail", "Follow what happens."),
    "run": Entry("deciding", "run", "Runs: executions of workflows."),
    "delivery": Entry("replaying", "delivery", "Deliveries: requests as they came."),
    "rejection": Entry(
        "rejections", "rejection", "Rejections: requests that were refused, and why."
    ),
    "event": Entry("showing", "event", "Events: normalised facts."),
    "effect": Entry(
        "effects", "effect", "Effects: what was changed outside, and what is in doubt."
    ),
    "alert": Entry("alerting", "alert", "Alerts: conditions with a life."),
    "bulk": Entry("bulk", "bulk", "Work in bulk: replays of many, retries of many."),
    "stats": Entry("statistics", "stats", "Statistics: how much there was, by the hour or day."),
    "source": Entry(
        "sources", "source", "Sources: receiving addresses, and how to connect a sender."
    ),
    "connection": Entry("connections", "connection", "Connections: accounts at vendors."),
    "poll": Entry("polls", "poll", "Polls: what vendors are asked again and again."),
    "vendor": Entry("vendors", "vendor", "Vendors: what each can do, and how to connect it."),
    "workflow": Entry(
        "actions", "workflow", "Workflows: list and check them, and see what steps can use."
    ),
    "reconcile": Entry(
        "reconciling", "reconcile", "Find what a vendor sent and we never got, and have it."
    ),
    "token": Entry("tokens", "token", "Tokens of the API."),
    "audit": Entry("auditing", "audit", "Audit: who did what."),
    "verify": Entry(
        "verifying", "verify", "Find out whether a stored row was altered, removed or added."
    ),
}

_LOGGING = frozenset({"up", "serve", "work"})
"""Processes: what they have to warn of goes to their log."""
_AS_WRITTEN = "\b\n"
"""Tells click not to wrap the paragraph that follows."""


class LazyGroup(click.Group):
    """Imports a command when it is asked for, so that `--help` does not load them all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order in which a newcomer meets them."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and give a command."""
        del ctx
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(_load(entry.module), f"{entry.name}_command")
        _keep_examples_whole(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])


def _keep_examples_whole(command: click.Command) -> None:
    """Have examples printed line by line as they are written, so that they can be copied."""
    if command.epilog and not command.epilog.startswith(_AS_WRITTEN):
        command.epilog = _AS_WRITTEN + command.epilog
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _keep_examples_whole(one)


def _load(module: str) -> ModuleType:
    with loading():
        return import_module(f"service.cli.{module}")


_BEGINNING = """\b
To begin:   hookwright init && hookwright up
To try it:  hookwright send vibeview run.failed
To watch:   hookwright tail runs"""


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_BEGINNING,
)
@click.version_option(package_name="hookwright", message="%(package)s %(version)s")
@click.pass_context
def hookwright(context: click.Context) -> None:
    """Receive vendors' webhooks, prove who sent them, and put things right."""
    if context.invoked_subcommand not in _LOGGING and "--help" not in sys.argv:
        settings = import_module("service.settings")
        for sentence in settings.unknown_variables(settings.environment()):
            click.secho(f"warning: {sentence}", fg="yellow", err=True)


def main() -> None:
    """Run one command: 0 when it was good, 1 when it failed, 2 when it was used wrongly."""
    try:
        code = hookwright.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Who reads us has had enough (`hookwright tail | head`); closing quietly is the answer.
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    except HookwrightError as error:
        _tell(error)
        sys.exit(EXIT_FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def _tell(error: HookwrightError) -> None:
    if _wants_traceback():
        traceback.print_exception(error)
    click.secho(f"error: {error.message}", fg="red", err=True)
    if error.hint:
        click.echo(f"  hint: {error.hint}", err=True)


def _wants_traceback() -> bool:
    settings = import_module("service.settings")
    try:
        return bool(settings.load_settings().log_level == "debug")
    except ConfigurationError:
        return False
