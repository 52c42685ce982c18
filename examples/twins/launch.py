"""Starts a twin as a process of its own and speaks to it: for tests and the demo.

`with start_twin("checksum", pace=0.1) as checksum:` gives a running twin; leaving ends it.
"""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
STOP_S = 5.0
POLL_S = 0.02
LONGEST_POLL_S = 0.2
MAX_LOG_BYTES = 1_000_000


class TwinError(RuntimeError):
    """A twin did not start, or refused a control call."""


class Process(Protocol):
    """What is asked of a process; as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its id."""

    @property
    def stdout(self) -> IO[str] | None:
        """What it says, where somebody listens."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired`."""


class TwinProcess:
    """A twin that runs. `url` is the vendor's address; levers are reached through `lever`."""

    def __init__(self, name: str, process: Process, log: IO[str], url: str) -> None:
        self.name = name
        self.url = url
        self.pid = process.pid
        self._process = process
        self._log = log
        self._client = httpx.Client(base_url=f"{url}/_twin", timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def calls(
        self, *, method: str | None = None, path: str | None = None
    ) -> list[dict[str, object]]:
        """Calls received, oldest first; `path` takes shell wildcards and may begin at any slash."""
        wanted = {"method": method, "path": path}
        answer = self._ask("GET", "/calls", query={k: v for k, v in wanted.items() if v})
        return _objects(answer)

    def effects(
        self, *, method: str | None = None, path: str | None = None
    ) -> list[dict[str, object]]:
        """Those of the calls that changed something in the twin."""
        return [call for call in self.calls(method=method, path=path) if call["took_effect"]]

    def wait_for_calls(
        self,
        count: int = 1,
        *,
        method: str | None = None,
        path: str | None = None,
        effects: bool = False,
        timeout_s: float = 10.0,
    ) -> list[dict[str, object]]:
        """Wait until at least `count` such calls were received; raises `TimeoutError`."""
        deadline = time.monotonic() + timeout_s
        pause = POLL_S
        while True:
            found = (self.effects if effects else self.calls)(method=method, path=path)
            if len(found) >= count:
                return found
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    f"{self.name}: {len(found)} of {count} calls {method} {path} in {timeout_s} s"
                )
            time.sleep(pause)
            # Whoever is asked without pause has no time for what is waited for.
            pause = min(pause * 1.2, LONGEST_POLL_S)

    def state(self) -> dict[str, object]:
        """All that exists in the twin."""
        return _object(self._ask("GET", "/state"))

    def reset(self) -> None:
        """Return to a fresh start; settings and changed limits stay."""
        self._ask("POST", "/reset")

    def fault(
        self,
        mode: str,
        *,
        method: str | None = None,
        path: str | None = None,
        contains: str | None = None,
        **more: object,
    ) -> int:
        """Switch a fault on and give its number.

        `mode` is `status`, `slow`, `drop_before`, `drop_after`, `garbage` or `truncate`; `more` is
        `status`, `headers`, `body`, `delay_s`, `times`, `skip`, `effect` as in `faults.Fault`.
        """
        match = {"method": method, "path": path, "contains": contains}
        answer = self._ask("POST", "/faults", {"match": match, "mode": mode, **more})
        return int(str(_object(answer)["id"]))

    def clear_faults(self) -> None:
        """Switch every fault off."""
        self._ask("DELETE", "/faults")

    def limit(self, name: str, **figures: float | None) -> None:
        """Change a limit: `limit` and `window_s`, or `rate_per_s` and `burst`."""
        self._ask("POST", "/limits", {"name": name, **figures})

    def set(self, **settings: object) -> dict[str, object]:
        """Change settings, such as `receiver`, `secret`, `key`, `pace`; gives all of them."""
        return _object(self._ask("POST", "/settings", settings))

    def advance(self, seconds: float) -> None:
        """Move the twin's clock forward."""
        self._ask("POST", "/advance", {"seconds": seconds})

    def lever(self, name: str, body: object = None, *, method: str = "POST") -> object:
        """Use one of the twin's own levers, such as `lever("outcomes", {"runs": ["failed"]})`."""
        return self._ask(method, f"/{name}", {} if body is None else body)

    def log(self) -> str:
        """What the twin wrote to its error output: traces of its own faults."""
        # Read in place: the child writes where the shared file position stands.
        return os.pread(self._log.fileno(), MAX_LOG_BYTES, 0).decode(errors="replace")

    def stop(self) -> int:
        """End the process and wait for it; gives its exit status."""
        self._client.close()
        self._process.terminate()
        try:
            status = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
        return status

    def _ask(
        self, method: str, path: str, body: object = None, query: dict[str, str] | None = None
    ) -> object:
        answer = self._client.request(
            method, path, params=query, json=body if method == "POST" else None
        )
        if answer.is_error:
            raise TwinError(f"{self.name}: {method} {path} gave {answer.status_code} {answer.text}")
        value: object = answer.json()
        return value


def start_twin(name: str, *, port: int = 0, **options: object) -> TwinProcess:
    """Start one twin and wait until it accepts connections.

    Args:
        name: `vibeview`, `checksum`, `github` or `slack`.
        port: 0 takes a free one.
        options: the twin's settings by name (`key`, `secret`, `receiver`, `pace` and its own).

    Raises `TwinError` when it does not come up; the message has what it printed.
    """
    command = [sys.executable, "-m", "examples.twins", name, "--port", str(port)]
    command += ["--end-with", str(os.getpid())]
    for option, value in options.items():
        command += ["--set", f"{option}={value}"]
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process it belongs to
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
    )
    line = _first_line(process, time.monotonic() + START_S)
    if not line:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        log.seek(0)
        told = log.read()
        log.close()
        raise TwinError(f"the twin {name} did not start: {told}")
    return TwinProcess(name, process, log, url_told(line))


def url_told(line: str) -> str:
    """Read the address from the line with which a twin announces itself."""
    return str(json.loads(line)["url"])


def _first_line(process: subprocess.Popen[str], deadline: float) -> str:
    if process.stdout is None:
        return ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            return ""
    return process.stdout.readline()


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TwinError(f"not an object: {value!r}")
    return value


def _objects(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise TwinError(f"not an array: {value!r}")
    return [_object(one) for one in value]
