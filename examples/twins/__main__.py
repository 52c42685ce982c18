"""Starts twins: `python -m examples.twins checksum --port 0`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from examples.twins.registry import TWIN_NAMES, make_twin
from examples.twins.server import bind, serve_twins


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the named twins until told to end; each prints one JSON line when it is ready."""
    asked = _parser().parse_args(arguments)
    names = list(TWIN_NAMES) if "all" in asked.names else list(dict.fromkeys(asked.names))
    if asked.port and len(names) > 1:
        print("--port is for one twin; use 0 for several", file=sys.stderr)
        return 2
    options = dict(pair.partition("=")[::2] for pair in asked.set)
    for name in ("key", "secret", "receiver", "pace"):
        if getattr(asked, name) is not None:
            options[name] = getattr(asked, name)
    try:
        twins = [(make_twin(name, options), bind(asked.host, asked.port)) for name in names]
    except ValidationError as fault:
        print(f"the settings do not fit: {fault}", file=sys.stderr)
        return 2
    except OSError as fault:
        print(f"cannot listen on {asked.host}:{asked.port}: {fault}", file=sys.stderr)
        return 1
    asyncio.run(serve_twins(twins, parent=asked.end_with))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.twins", description="Stand-ins of vendors as real HTTP servers."
    )
    parser.add_argument("names", nargs="+", choices=[*TWIN_NAMES, "all"], metavar="TWIN")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--key", help="API key or token to accept")
    parser.add_argument("--secret", help="what webhooks are signed with")
    parser.add_argument("--receiver", help="address webhooks are sent to")
    parser.add_argument("--pace", help="seconds a phase of work lasts")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--end-with", type=int, metavar="PID", help="the parent's process id")
    return parser


if __name__ == "__main__":
    sys.exit(main())
