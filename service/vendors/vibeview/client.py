"""VibeView's API: CI runs, credit, event catalog (reference 1.2, 1.3, 1.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from service.errors import Refused
from service.http import VendorHttp, path_of
from service.vendors.base import CallContext, Options
from service.vendors.vibeview.answers import (
    Balance,
    CatalogEntry,
    LedgerEntry,
    ListedSuite,
    MultiSuiteRun,
    Organisation,
    Run,
    StartedRun,
    StartedSuites,
)

API = "/api/v1"
LEDGER_PAGE = 100
NOT_FOUND = 404


class VibeViewCredentials(BaseModel):
    """An organisation's API token (`tok_…`) or a log-in token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_token: SecretStr = Field(min_length=1)


class VibeViewConnectionOptions(Options):
    """Options of a connection: `per_minute` is the vendor's own limit for each client."""

    per_minute: float = Field(default=100, gt=0)


def auth_headers(
    credentials: VibeViewCredentials, _options: VibeViewConnectionOptions
) -> Mapping[str, str]:
    """Give the token as a bearer."""
    return {"Authorization": f"Bearer {credentials.api_token.get_secret_value()}"}


class VibeViewClient:
    """The calls Hookwright makes. Errors are those of VendorHttp."""

    def __init__(self, http: VendorHttp) -> None:
        self._http = http

    def credit_balance(self) -> Balance:
        """Give the credit that is left."""
        return self._http.request("GET", f"{API}/credits/balance").read(Balance)

    def ledger_page(self, *, offset: int = 0, limit: int = LEDGER_PAGE) -> list[LedgerEntry]:
        """Give a page of the ledger, newest first; `limit` is at most 100."""
        params = {"limit": limit, "offset": offset}
        answer = self._http.request("GET", f"{API}/credits/ledger", params=params)
        return [answer.fit(LedgerEntry, row) for row in answer.items("entries")]

    def ledger(self, *, pages: int) -> Iterator[LedgerEntry]:
        """Give the ledger's entries, newest first, at most so many pages of 100.

        An entry that moved to the next page while we read is given once.
        """
        seen: set[str] = set()
        for page in range(pages):
            rows = self.ledger_page(offset=page * LEDGER_PAGE)
            for row in rows:
                if row.id is None or row.id not in seen:
                    yield row
                if row.id is not None:
                    seen.add(row.id)
            if len(rows) < LEDGER_PAGE:
                return

    def run_suite(self, body: Mapping[str, Any]) -> StartedRun:
        """Start a suite."""
        return self._start("run-suite", body)

    def run_test(self, body: Mapping[str, Any]) -> StartedRun:
        """Start one test."""
        return self._start("run-test", body)

    def run_suites(self, body: Mapping[str, Any]) -> StartedSuites:
        """Start every suite with these tags."""
        answer = self._http.request("POST", f"{API}/ci/run-suites", json=dict(body))
        return answer.read(StartedSuites)

    def run(self, run_id: str) -> Run:
        """Give a suite run or a test run."""
        return self._http.request("GET", f"{API}/ci/runs{path_of(run_id)}").read(Run)

    def multi_suite_run(self, aggregate_id: str) -> MultiSuiteRun:
        """Give a run of several suites."""
        path = f"{API}/ci/multi-suite-runs{path_of(aggregate_id)}"
        return self._http.request("GET", path).read(MultiSuiteRun)

    def list_suites(
        self, *, tags: tuple[str, ...] = (), match: Literal["any", "all"] = "any"
    ) -> list[ListedSuite]:
        """Give the suites, those with these tags when named."""
        params = {"tags": ",".join(tags) or None, "match": match if tags else None}
        answer = self._http.request("GET", f"{API}/ci/list-suites", params=params)
        return [answer.fit(ListedSuite, row) for row in answer.items("suites")]

    def event_catalog(self) -> list[CatalogEntry]:
        """Give every event type the vendor can send: the authority on their names."""
        answer = self._http.request("GET", f"{API}/integrations/events/catalog")
        return [
            answer.fit(CatalogEntry, {"type": row} if isinstance(row, str) else row)
            for row in answer.items("events", "catalog", "event_types")
        ]

    def organisations(self) -> list[Organisation]:
        """Give the organisations the token belongs to."""
        answer = self._http.request("GET", f"{API}/organizations/")
        return [answer.fit(Organisation, row) for row in answer.items("organizations")]

    def _start(self, call: str, body: Mapping[str, Any]) -> StartedRun:
        return self._http.request("POST", f"{API}/ci/{call}", json=dict(body)).read(StartedRun)


def check(context: CallContext) -> str:
    """Ask whose token it is; a token that may not list organisations shows its balance."""
    client = VibeViewClient(context.http)
    try:
        names = [one.name or one.id or "?" for one in client.organisations()]
    except Refused as fault:
        if fault.status != NOT_FOUND:
            raise
        return f"a token with {client.credit_balance().total_micro / 1_000_000:.2f} USD of credit"
    return f"organisation {', '.join(names) or 'without name'}"
