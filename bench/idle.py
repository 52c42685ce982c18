"""How soon an event that comes after a silence is acted upon: from sending to the first call.

Two installations stand idle, one of receiver, worker, PostgreSQL and Redis, one of a single process
on SQLite. They are sent one delivery each in turns, with a silence before it that is longer than
what consumers sleep at most.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import quantiles
from uuid import uuid4

from bench.figures import Context, Figure, Measurement, Unit, Wanted
from bench.installation import RECEIVING, new_installation
from bench.payload import BODY, HEADERS, ID_HEADER
from tests.servers import free_port

FIGURES = tuple(
    Wanted(
        f"idle/{place}-{name}",
        f"idle event to first outside call, {where}, {name}",
        limit / share,
        Unit.MILLISECONDS,
        at_most=True,
    )
    for place, where, share in (
        ("redis", "PostgreSQL and Redis", 1),
        ("process", "in the process on SQLite", 2),
    )
    for name, limit in (("p50", 30.0), ("p99", 120.0))
)
EVENTS, QUICK_EVENTS = 30, 3
"""In each round."""
SILENCE_S = (0.55, 1.0)
"""Before every delivery. The two installations take turns: for each of them it is twice as long."""
PATIENCE_S = 20.0
ANSWER = b'{"ok": true, "channel": "C0BENCH", "ts": "1700000000.000100"}'
CALLING = """
connections:
  - name: slack
    vendor: slack
    base_url: http://127.0.0.1:{port}/api
    credentials: {{bot_token: {{value: xoxb-bench}}}}
    options: {{channel: C0BENCH}}
workflows: [workflows/call.yaml]
"""
WORKFLOW = """
name: call
on:
  - event: "*"
    vendor: github
steps:
  - id: tell
    uses: slack.message
    with: {text: "it happened"}
"""


class Outside(ThreadingHTTPServer):
    """Whoever is called: notes when, and is content with everything."""

    daemon_threads = True

    def __init__(self) -> None:
        self.port = free_port()
        super().__init__(("127.0.0.1", self.port), _Call)
        self.calls = 0
        self.called_at = 0.0
        self.called = threading.Event()

    def expect(self) -> None:
        """Begin to wait for a call."""
        self.called.clear()

    def note(self) -> None:
        """Remember that a call came."""
        moment = time.perf_counter()
        self.calls += 1
        if not self.called.is_set():
            self.called_at = moment
            self.called.set()


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Outside

    def do_POST(self) -> None:
        """Answer as Slack does."""
        self.server.note()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def run(context: Context) -> Iterator[Figure]:
    """Send to both in turns; the percentiles are made for each round."""
    chosen = context.chosen(FIGURES)
    places = tuple(
        place for place in ("redis", "process") if any(f"/{place}-" in one.name for one in chosen)
    )
    events = QUICK_EVENTS if context.quick else EVENTS
    found: dict[str, list[list[float]]] = {place: [] for place in places}
    faults = []
    with ExitStack() as opened:
        sites = {place: opened.enter_context(_site(context, place)) for place in places}
        for port, outside in sites.values():
            _latency_ms(port, outside)  # the first of all warms up
        for number in range(context.rounds):
            for place in places:
                found[place].append([])
            for place in places * events:
                time.sleep(_SILENCES.uniform(*SILENCE_S))
                found[place][-1].append(_latency_ms(*sites[place]))
            for place in places:
                times = found[place][-1]
                context.note(
                    f"idle/{place}", round=number + 1, p50_ms=_p50(times), most_ms=max(times)
                )
        faults += [
            f"{place}: {outside.calls} calls"
            for place, (_, outside) in sites.items()
            if outside.calls != 1 + events * context.rounds
        ]
    for wanted in chosen:
        rounds = found[wanted.name.partition("/")[2].partition("-")[0]]
        percentile = _p50 if wanted.name.endswith("p50") else _p99
        yield Figure(wanted, [percentile(times) for times in rounds], void="; ".join(faults))


_SILENCES = random.Random(6)  # noqa: S311  # not for secrets


@contextmanager
def _site(context: Context, place: str) -> Iterator[tuple[int, Outside]]:
    with ExitStack() as opened:
        outside = Outside()
        opened.callback(outside.server_close)
        threading.Thread(target=outside.serve_forever, daemon=True).start()
        opened.callback(outside.shutdown)
        configuration = RECEIVING + CALLING.format(port=outside.port)
        kind = "postgres" if place == "redis" else "sqlite"
        url = opened.enter_context(context.servers.database(kind))
        redis_url = context.servers.fresh_redis() if place == "redis" else ""
        installation = opened.enter_context(new_installation(url, redis_url, configuration))
        installation.add_workflow("call", WORKFLOW)
        if place == "redis":
            installation.prepare()
            opened.enter_context(installation.running("work", ready=None))
            opened.enter_context(installation.running("serve"))
        else:
            opened.enter_context(installation.running("up"))
        yield installation.port, outside


def _latency_ms(port: int, outside: Outside) -> float:
    """Send one delivery over a new connection, as vendors do, and wait for the call."""
    outside.expect()
    headers = {**dict(HEADERS), ID_HEADER: str(uuid4())}
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("POST", "/hooks/github", BODY, headers)
    status = connection.getresponse().status
    connection.close()
    if status != 202 or not outside.called.wait(PATIENCE_S):
        message = f"a delivery was answered with {status} and no call came of it"
        raise RuntimeError(message)
    return (outside.called_at - began) * 1e3


def _p50(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100, method="inclusive")[98]


MEASUREMENT = Measurement("idle", FIGURES, run)
