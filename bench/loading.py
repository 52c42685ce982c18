"""The load by wrk, and what both loads are asked and give.

wrk is in Debian and Ubuntu (`apt install wrk`), Fedora (`dnf install wrk`) and Homebrew. Without
it, bench/load.py loads, which takes more of its processor for each request.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.machine import LOAD_CPU, on_cpu
from bench.payload import BODY, ID_HEADER, PLAIN_HEADERS, signature_of

CONNECTIONS = 32
PATIENCE_S = 30
SATURATED = 0.95
WRONG_SIGNATURE = "sha256=" + "0" * 64


@dataclass(frozen=True)
class Load:
    """Requests of one kind, each of them a new delivery: connections that never wait."""

    port: int
    seconds: float
    connections: int = CONNECTIONS
    path: str = "/hooks/github"
    body: bytes = BODY
    signature: str = ""
    """Empty: the right one."""
    requests: int | None = None
    """So many and no more; None: as many as the seconds allow. wrk cannot count."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of every request, except for the delivery's id."""
        signature = self.signature or signature_of(self.body)
        return (*PLAIN_HEADERS, ("X-Hub-Signature-256", signature))

    def wrongly_signed(self) -> Load:
        """Give the same load with a signature that does not fit."""
        return replace(self, signature=WRONG_SIGNATURE)

    def lasting(self, seconds: float, connections: int) -> Load:
        """Give the same load, longer or shorter and with other connections."""
        return replace(self, seconds=seconds, connections=connections)


@dataclass(frozen=True)
class WarmUp:
    """The load before a round, which does not count."""

    seconds: float = 2.0
    connections: int = 8


@dataclass(frozen=True)
class Answers:
    """What a load saw."""

    seconds: float
    good: int
    """Answers 2xx."""
    unproven: int
    """Answers 401."""
    others: int
    """Other answers, and requests that failed."""
    p50_ms: float
    p99_ms: float
    load_cpu: float
    """The share of its processor that the load took."""
    unread: int
    """So many requests may have been under way when the load hung up."""

    @property
    def rate(self) -> float:
        """Answers of the kind that was wanted, a second."""
        return (self.good or self.unproven) / self.seconds

    @property
    def is_load_bound(self) -> bool:
        """Say whether the load had no processor left: the system could have done more."""
        return self.load_cpu > SATURATED


def has_wrk() -> bool:
    """Say whether wrk is installed."""
    return shutil.which("wrk") is not None


def send(load: Load) -> Answers:
    """Load from the load's own processor."""
    if load.requests is not None or not has_wrk():
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(_as_json(load), file)
            file.flush()
            return _answers([sys.executable, "-m", "bench.load", file.name], unread=0)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_script(load))
        script.flush()
        return _answers(
            [
                "wrk",
                *("-t1", f"-c{load.connections}", f"-d{max(1, round(load.seconds))}s"),
                *("--timeout", f"{PATIENCE_S}s", "-s", script.name),
                f"http://127.0.0.1:{load.port}{load.path}",
            ],
            unread=load.connections,
        )


def _as_json(load: Load) -> dict[str, Any]:
    return {
        "port": load.port,
        "path": load.path,
        "connections": load.connections,
        "seconds": load.seconds,
        "requests": load.requests,
        "headers": load.headers,
        "body": load.body.decode(),
    }


def _answers(command: list[str], *, unread: int) -> Answers:
    before, began = _children_seconds(), time.monotonic()
    with on_cpu(LOAD_CPU):
        done = subprocess.run(
            command, capture_output=True, check=False, cwd=Path(__file__).parents[1]
        )
    if done.returncode:
        message = f"{command[0]} ended with {done.returncode}: {done.stderr.decode()[-500:]}"
        raise RuntimeError(message)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    share = (_children_seconds() - before) / (time.monotonic() - began)
    return Answers(**said, load_cpu=round(share, 2), unread=unread)


def _children_seconds() -> float:
    # Of children that were waited for: the load is the only one that ends meanwhile.
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _script(load: Load) -> str:
    lines = [
        f"POST {load.path} HTTP/1.1",
        f"Host: 127.0.0.1:{load.port}",
        f"Content-Length: {len(load.body)}",
        *(f"{name}: {value}" for name, value in load.headers),
        f"{ID_HEADER}: {uuid4()}-",
    ]
    head = "\\r\\n".join(lines)
    return f"""
local head = "{head}"
local rest = "\\r\\n\\r\\n" .. [==[{load.body.decode()}]==]
local number = 0
local running
good, unproven, others = 0, 0, 0
function setup(thread)
  running = thread
end
function request()
  number = number + 1
  return head .. number .. rest
end
function response(status)
  if status >= 200 and status < 300 then
    good = good + 1
  elseif status == 401 then
    unproven = unproven + 1
  else
    others = others + 1
  end
end
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  print(string.format(
    '\\n{{"seconds": %f, "good": %d, "unproven": %d, "others": %d, "p50_ms": %f, "p99_ms": %f}}',
    summary.duration / 1e6, running:get("good"), running:get("unproven"),
    running:get("others") + failed,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""
