"""`python -m examples.demo`: see the whole product work, against stand-ins, on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from examples.demo.installation import DemoError, Installation, start
from examples.demo.story import Story
from examples.twins.launch import TwinError
from service.cli.output import shown_command

PLAIN_WIDTH = 120


def main() -> int:
    """Run the demonstration; 0 when every workflow ended as it should."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when the story is told")
    parser.add_argument("--port", type=int, help="where Hookwright serves (default: a free port)")
    asked = parser.parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PLAIN_WIDTH, soft_wrap=True)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    # A shell starts what runs in the background deaf to this; whoever sends it there means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="hookwright-demo-") as folder:
            return _run(console, Path(folder), asked.port, None if asked.once else stopped)
    except (DemoError, TwinError) as error:
        console.print(Text(f"The demonstration failed: {error}", style="bold red"))
        return 1
    except KeyboardInterrupt:
        return 0


def _run(
    console: Console, folder: Path, port: int | None, stay_until: threading.Event | None
) -> int:
    began = time.monotonic()
    console.print("[bold]Hookwright[/], with stand-ins of five vendors")
    with start(folder, port) as installation:
        story = Story(installation, console)
        story.tell()
        took = time.monotonic() - began
        if story.faults:
            console.print(f"\n[bold red]{len(story.faults)} things are not as they should be[/]")
            console.print(Text(installation.log()))
            return 1
        console.print(f"\n[bold green]Everything ended as it should[/], in {took:.0f} seconds")
        if stay_until is not None:
            _stay(console, installation, stay_until)
    return 0


def _stay(console: Console, installation: Installation, until: threading.Event) -> None:
    command = shown_command()
    console.print(
        "\nHookwright stays up until Ctrl-C. "
        f"Its page is [bold]{installation.url}/[/]: sign in with the token below.\n"
        "At a terminal look around with\n\n"
        f"  export HOOKWRIGHT_URL={installation.url}\n"
        f"  export HOOKWRIGHT_TOKEN={installation.token}\n"
        f"  {command} run list\n"
        f"  {command} tail events --json\n",
        # What is copied must be whole, however narrow the terminal is.
        soft_wrap=True,
    )
    until.wait()


if __name__ == "__main__":
    sys.exit(main())
