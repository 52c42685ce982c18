"""How long every list of the API takes, with every filter and search, at a million events.

Events are not spread evenly: one subject has a tenth of them, of four types only; a hundred types
and one word have ten events each. What nothing among very many fits is asked for as well.

The lists and their filters are read from the OpenAPI document, so that none is forgotten: one for
which no value is known here makes the figure void.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, cycle
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode

from psycopg import Connection

from bench.figures import Context, Figure, Measurement, Unit, Wanted
from bench.filling import Filler, filling, make_days, midnight
from bench.installation import RECEIVING, Installation, new_installation
from bench.loading import Load, send
from bench.outside import CONNECTION, calls_outside
from bench.payload import body_of
from bench.receivers import settled_rows
from schemas.clock import utc_now
from service.db import Database
from service.tokens import Role, create_token
from tests.servers import wait_until

P95 = Wanted(
    "lists/p95",
    "slowest API list, filter or search at 1,000,000 events, p95",
    40.0,
    Unit.MILLISECONDS,
    at_most=True,
)
EVENTS, QUICK_EVENTS = 1_000_000, 4_000
DAYS = 7
BODY_BYTES = 512
ASKED, QUICK_ASKED = 12, 2
DEEP_PAGES = 3
TOKENS = 200
WORKFLOW_STEPS_S = 60.0
TOLD = 5
ROOT = "/api/v1"
CONFIGURATION = f"{RECEIVING}{CONNECTION}workflows: [workflows/tell.yaml]\n"
WORKFLOW = """
name: tell
on:
  - event: "*"
    vendor: github
steps:
  - id: opened
    uses: alert.open
    with: {key: "bench", title: "It happened"}
  - id: told
    uses: slack.message
    with: {text: "it happened"}
"""
NUMBERS = (
    ("received_at", "'events', coalesce(source, ''), vendor, type, '', ''", "events"),
    ("received_at", "'deliveries', source, vendor, '', '', state", "deliveries"),
    ("created_at", "'runs', '', '', '', workflow, 'begun'", "runs"),
    ("ended_at", "'runs', '', '', '', workflow, status", "runs"),
)
COMMON, RARE, NONE = "0", "777", "nothing-is-called-so"
KINDS, SUBJECTS, SOURCES = 40, 1000, 8
HOT_SUBJECT, HOT_EVERY, HOT_AT = "subject-hot", 10, 3
"""Every tenth event: of the types 3, 13, 23 and 33, and of no other."""
RARE_TYPES, RARE_TYPE_EVERY, RARE_TYPE_AT = 100, 1000, 7
"""`rare.kind-0` to `rare.kind-99`: every thousandth event, so ten of each among a million."""
RARE_WORD, RARE_WORD_EVERY, RARE_WORD_AT = "zzz", 100_000, 5
SKEWED = (
    {"subject": HOT_SUBJECT, "type": f"bench.kind-{HOT_AT}"},
    {"subject": HOT_SUBJECT, "type": f"bench.kind-{COMMON}"},
    {"subject": HOT_SUBJECT, "type": "rare.kind-7"},
    {"subject": HOT_SUBJECT, "type": "rare.*"},
    {"search": "check_run", "type": "rare.kind-7"},
    {"search": "check_run", "type": "rare.*"},
    {"search": "sub*", "type": "rare.kind-7"},
    {"q": f"{RARE_WORD} sub*"},
    {"q": f"{RARE_WORD} sub* ben* che*"},
    {"q": "nothing sub*"},
)
"""Asked of every list that has these filters."""


@dataclass(frozen=True)
class Asked:
    """A list with its filters, as it is asked for."""

    path: str
    filters: tuple[tuple[str, str], ...] = ()

    def url(self, cursor: str | None = None) -> str:
        """The address of a page."""
        values = [*self.filters, *([("cursor", cursor)] if cursor else [])]
        return f"{self.path}?{urlencode(values)}" if values else self.path


def run(context: Context) -> Iterator[Figure]:
    """Fill, ask for everything, and give the slowest p95."""
    with _filled(context) as installation, installation.running("serve"):
        client = Client(installation.port, _tokens(installation.database_url))
        unknown, questions = questions_of(client.get(f"{ROOT}/openapi.json"))
        times = {one: client.times(one, 1) for one in questions}
        rounds: list[float] = []
        slowest = questions
        asked = QUICK_ASKED if context.quick else ASKED
        for number in range(context.rounds):
            for one in questions:
                times[one] = client.times(one, asked)
            slowest = sorted(questions, key=lambda one: -_p95(times[one]))
            rounds.append(_p95(times[slowest[0]]))
            told = {one.url(): round(_p95(times[one]), 1) for one in slowest[:TOLD]}
            context.note("lists/asked", round=number + 1, lists=len(questions), slowest=told)
            context.samples[-1]["all"] = {one.url(): round(_p95(times[one]), 2) for one in slowest}
    yield Figure(
        P95,
        rounds,
        void=f"no value is known for {', '.join(unknown)}" if unknown else "",
        note=f"{len(questions)} lists and filters; the slowest was {slowest[0].url()}",
    )


class Client:
    """Asks the API over one connection, with tokens in turns: each has few requests a minute."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._tokens = cycle(tokens)

    def get(self, url: str) -> Any:
        """Give the JSON of an answer. Raises RuntimeError unless it is 200."""
        headers = {"Authorization": f"Bearer {next(self._tokens)}"}
        self._connection.request("GET", url, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            message = f"{url} was answered with {answer.status}: {body[:300]!r}"
            raise RuntimeError(message)
        return json.loads(body)

    def times(self, asked: Asked, count: int) -> list[float]:
        """Ask so often, walking on through the first pages; gives milliseconds."""
        found = []
        cursor = None
        for number in range(count):
            began = time.perf_counter()
            page = self.get(asked.url(cursor))
            found.append((time.perf_counter() - began) * 1e3)
            cursor = page.get("next_cursor") if number % DEEP_PAGES else None
        return found


def questions_of(openapi: dict[str, Any]) -> tuple[list[str], list[Asked]]:
    """Give the filters that no value is known for, and everything that can be asked for.

    Lists are whatever is read without a name or an id: numbers and counts are among them.
    """
    unknown: list[str] = []
    asked: list[Asked] = []
    for path, methods in openapi["paths"].items():
        operation = methods.get("get", {})
        parameters = {one["name"]: one for one in operation.get("parameters", ())}
        if "{" in path or not path.startswith(ROOT) or not _is_json(operation):
            continue
        values = {
            name: _values_of(name, one["schema"], openapi["components"]["schemas"])
            for name, one in parameters.items()
            if one["in"] == "query" and name not in {"cursor", "limit"}
        }
        unknown += [f"{name} of {path}" for name, found in values.items() if not found]
        asked.append(Asked(path))
        if "limit" in parameters:
            asked.append(Asked(path, (("limit", "100"),)))
        asked += [
            Asked(path, ((name, value),)) for name, found in values.items() for value in found
        ]
        asked += [
            Asked(path, ((one, values[one][0]), (other, values[other][0])))
            for one, other in combinations([name for name, found in values.items() if found], 2)
        ]
        asked += [Asked(path, tuple(one.items())) for one in SKEWED if set(one) <= set(values)]
    return unknown, asked


def _is_json(operation: dict[str, Any]) -> bool:
    answer = operation.get("responses", {}).get("200", {})
    return "application/json" in answer.get("content", ())


def _tokens(url: str) -> list[str]:
    database = Database(url)
    try:
        with database.session() as session:
            now = utc_now()
            made = [
                create_token(session, label=f"bench-{number}", role=Role.ADMIN, now=now)
                for number in range(TOKENS)
            ]
            session.commit()
    finally:
        database.dispose()
    return [token for _, token in made]


def _values_of(name: str, schema: dict[str, Any], named: dict[str, Any]) -> list[str]:
    """Give values of a filter: one that many rows have, one that few have, one that none has."""
    known = {
        "action": ["slack.message", NONE],
        "by": ["bench", NONE],
        "cause": ["wrong_secret", NONE],
        "connection": ["slack", NONE],
        "event": ["00000000-0000-7000-8000-000000000000"],
        "key": [f"copy-{RARE}", NONE],
        "q": ["check_run", f"subject-{RARE}", NONE],
        "reason": ["wrong_signature", NONE],
        "run": ["00000000-0000-7000-8000-000000000000"],
        "search": [f"subject-{RARE}", "check_run", NONE],
        "severity": ["warning", "critical"],
        "since": [_hours_ago(24), _hours_ago(24 * (DAYS - 1))],
        "source": ["github", f"source-{COMMON}", NONE],
        "step": ["told", NONE],
        "subject": [f"subject-{COMMON}", NONE],
        "target": ["C0BENCH", NONE],
        "type": [f"bench.kind-{COMMON}", "bench.*", NONE],
        "until": [_hours_ago(1), _hours_ago(24 * (DAYS - 1))],
        "vendor": ["github", NONE],
        "who": ["bench", NONE],
        "workflow": ["tell", NONE],
    }
    forms = [
        named.get(str(one.get("$ref")).rpartition("/")[2], one)
        for one in (schema, *schema.get("anyOf", ()))
    ]
    enumerated = [
        str(value)
        for form in forms
        for value in (*form.get("enum", ()), *([form["const"]] if "const" in form else []))
    ]
    return enumerated or known.get(name, [])


def _hours_ago(hours: float) -> str:
    moment = midnight().timestamp() - hours * 3600
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _p95(times: list[float]) -> float:
    return quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]


@contextmanager
def _filled(context: Context) -> Iterator[Installation]:
    """Give an installation that has seen one delivery and one refusal, and holds copies of them."""
    events = QUICK_EVENTS if context.quick else EVENTS
    with (
        context.servers.database("postgres") as url,
        calls_outside() as outside,
        new_installation(
            url,
            context.servers.fresh_redis(),
            CONFIGURATION.replace("PORT", str(outside.port)),
        ) as installation,
    ):
        installation.add_workflow("tell", WORKFLOW)
        installation.prepare()
        with installation.running("serve"), installation.running("work", ready=None):
            load = Load(
                installation.port, 10.0, connections=1, body=body_of(BODY_BYTES), requests=1
            )
            send(load)
            send(load.wrongly_signed())
            database = Database(url)
            try:
                _wait_for(database, "runs WHERE status = 'succeeded'")
                _wait_for(database, "rejections")
            finally:
                database.dispose()
        for table in ("deliveries", "events"):
            make_days(url, table, midnight(), DAYS)
        began = time.monotonic()
        with filling(url) as connection:
            _fill(Filler(connection, until=midnight(), days=DAYS, rows=events))
            _note(connection)
        context.note("lists/filled", events=events, seconds=time.monotonic() - began)
        yield installation


def _wait_for(database: Database, rows: str) -> None:
    wait_until(lambda: settled_rows(database, rows) > 0, WORKFLOW_STEPS_S, what=f"a row of {rows}")


def _fill(filler: Filler) -> None:
    """Copy everything that lists show: a delivery, a run and an effect for each event.

    Of alerts, rejections and audit events there are a tenth of that.
    """
    named = f"CASE WHEN n % 2 = 0 THEN 'github' ELSE 'source-' || n % {SOURCES} END"
    kind = (
        f"CASE WHEN n % {RARE_TYPE_EVERY} = {RARE_TYPE_AT}"
        f" THEN 'rare.kind-' || n / {RARE_TYPE_EVERY} % {RARE_TYPES}"
        f" ELSE 'bench.kind-' || n % {KINDS} END"
    )
    subject = (
        f"CASE WHEN n % {HOT_EVERY} = {HOT_AT} THEN '{HOT_SUBJECT}'"
        f" WHEN n % {RARE_WORD_EVERY} = {RARE_WORD_AT} THEN 'subject-{RARE_WORD}'"
        f" ELSE 'subject-' || n % {SUBJECTS} END"
    )
    at = filler.time
    delivery, event, run = (filler.id_of(table) for table in ("deliveries", "events", "runs"))
    filler.copy(
        "deliveries",
        {"delivery_key": "'copy-' || n", "received_at": at, "source": named},
    )
    filler.copy(
        "events",
        {
            "dedupe_key": "'copy-' || n",
            "type": kind,
            "subject": subject,
            "source": named,
            "delivery_id": delivery,
            "correlation_id": event,
            "time": at,
            "received_at": at,
        },
        of="vendor = 'github'",
    )
    filler.copy(
        "runs",
        {
            "event_id": event,
            "correlation_id": event,
            "status": "CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'succeeded' END",
            **dict.fromkeys(("created_at", "started_at", "ended_at"), at),
        },
    )
    filler.copy(
        "effects",
        {"key": "'copy-' || n", "run_id": run, "intended_at": at, "made_at": at},
    )
    filler.copy(
        "alerts",
        {
            "key": "'copy-' || n",
            "run_id": run,
            "event_id": event,
            "state": "CASE WHEN n % 1000 = 0 THEN 'open' ELSE 'resolved' END",
            "severity": "CASE WHEN n % 500 = 0 THEN 'critical' ELSE 'warning' END",
            **dict.fromkeys(("opened_at", "changed_at", "resolved_at"), at),
        },
        every=10,
    )
    filler.copy("rejections", {"received_at": at, "source": named}, every=10)
    filler.copy("audit_events", {"at": at}, every=10)


def _note(connection: Connection) -> None:
    """Note what triggers note when rows come and are read one after another: kinds and numbers."""
    for noted in (
        "'deliveries', vendor, source, '' FROM deliveries",
        "'events', vendor, coalesce(source, ''), type FROM events",
    ):
        connection.execute(
            f"INSERT INTO kinds SELECT DISTINCT {noted} ON CONFLICT DO NOTHING".encode()
        )
    connection.execute("TRUNCATE tallies, statistics")
    columns = "counted, source, vendor, type, workflow, state"
    for span in ("hour", "day"):
        for at, values, table in NUMBERS:
            connection.execute(
                f"INSERT INTO statistics (span, begins, {columns}, count)"  # noqa: S608  # ours
                f" SELECT '{span}', date_trunc('{span}', {at}, 'UTC'), {values}, count(*)"
                f" FROM {table} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8".encode()
            )


MEASUREMENT = Measurement("lists", (P95,), run)
