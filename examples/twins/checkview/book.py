"""What an organisation has at CheckView. Where a run stands follows from the time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from examples.twins.checkview.bodies import Frequency, Script, Status
from examples.twins.clock import Clock, zulu

APP = "https://app.checkview.io"


@dataclass(frozen=True, slots=True)
class Website:
    """A website under test."""

    website_id: str
    name: str
    url: str
    number: int

    def brief(self) -> dict[str, object]:
        """The website as other things name it."""
        return {"id": self.website_id, "url": self.url}

    def show(self) -> dict[str, object]:
        """The website as its own list gives it."""
        return {**self.brief(), "name": self.name}


@dataclass(slots=True)
class Flow:
    """A test flow; `last_failed` is what its last told run was, `None` before the first."""

    flow_id: str
    name: str
    website: Website
    number: int
    frequency: Frequency | None = None
    last_failed: bool | None = None

    def brief(self) -> dict[str, object]:
        """The flow as its runs name it."""
        return {"id": self.flow_id, "name": self.name}

    def show(self) -> dict[str, object]:
        """The flow as its own calls give it."""
        return {**self.brief(), "website": self.website.brief()}


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a flow: `queued` until it starts, `running` until it ends, then its outcome."""

    run_id: str
    flow: Flow
    outcome: Status
    error: str | None
    created_at: datetime
    starts_at: datetime
    ends_at: datetime
    number: int

    def status(self, now: datetime) -> str:
        """Its status at a time."""
        if now >= self.ends_at:
            return self.outcome
        return "running" if now >= self.starts_at else "queued"

    def show(self, now: datetime) -> dict[str, object]:
        """The run as its calls give it (the members are assumed)."""
        status = self.status(now)
        ended = now >= self.ends_at
        failed = ended and self.outcome in {"failed", "error"}
        return {
            "id": self.run_id,
            "status": status,
            "test_flow": self.flow.brief(),
            "website": self.flow.website.brief(),
            "created_at": zulu(self.created_at),
            "started_at": None if status == "queued" else zulu(self.starts_at),
            "finished_at": zulu(self.ends_at) if ended else None,
            "error": self.error if failed else None,
            "url": f"{APP}/test-runs/{self.run_id}",
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """A UX audit: `queued`, `running`, then `completed`."""

    audit_id: str
    website: Website | None
    url: str
    starts_at: datetime
    ends_at: datetime
    number: int

    def show(self, now: datetime) -> dict[str, object]:
        """The audit as its calls give it (the members are assumed)."""
        ended = now >= self.ends_at
        status = "completed" if ended else "running" if now >= self.starts_at else "queued"
        return {
            "id": self.audit_id,
            "status": status,
            "website": self.website.brief() if self.website else None,
            "url": self.url,
            "score": 87 if ended else None,
            "report_url": f"{APP}/ux-audits/{self.audit_id}" if ended else None,
        }


class Book:
    """Websites, flows, runs and audits in the order they were made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers: Iterator[int] = count(1)
        self._script: list[Status] = []
        self.websites: dict[str, Website] = {}
        self.flows: dict[str, Flow] = {}
        self.runs: dict[str, Run] = {}
        self.audits: dict[str, Audit] = {}
        shop = Website("w-1", "Shop", "https://example.com", next(self._numbers))
        blog = Website("w-2", "Blog", "https://blog.example.com", next(self._numbers))
        self.websites = {site.website_id: site for site in (shop, blog)}
        self.add_flow("abc-123", "Contact form", shop, None)
        self.add_flow("def-456", "Checkout", shop, None)

    def add_flow(
        self, flow_id: str, name: str, website: Website, frequency: Frequency | None
    ) -> Flow:
        """A further flow, or another in the place of the one with this id."""
        flow = Flow(flow_id, name, website, next(self._numbers), frequency)
        self.flows[flow_id] = flow
        return flow

    def follow(self, script: Script) -> None:
        """Let the next runs that are started end like this."""
        self._script = list(script.runs)

    def start_run(self, flow: Flow, pace_s: float) -> Run:
        """A run that waits for a phase and runs for a phase."""
        now, phase = self._clock.now(), timedelta(seconds=pace_s)
        outcome = self._script.pop(0) if self._script else "passed"
        return self._enter(flow, outcome, "Element not found", (now, now + phase, now + 2 * phase))

    def add_run(
        self,
        flow: Flow,
        outcome: Status,
        error: str | None,
        ends_at: datetime,
        duration: timedelta,
        run_id: str | None = None,
    ) -> Run:
        """A run that nobody asked for."""
        began = ends_at - duration
        return self._enter(flow, outcome, error, (began, began, ends_at), run_id)

    def start_audit(self, website: Website | None, url: str, pace_s: float) -> Audit:
        """An audit that waits for a phase and runs for a phase."""
        now, phase, number = self._clock.now(), timedelta(seconds=pace_s), next(self._numbers)
        audit = Audit(f"audit-{number}", website, url, now + phase, now + 2 * phase, number)
        self.audits[audit.audit_id] = audit
        return audit

    def show(self) -> dict[str, object]:
        """Everything, as the calls show it."""
        now = self._clock.now()
        return {
            "websites": [one.show() for one in self.websites.values()],
            "test_flows": [one.show() for one in self.flows.values()],
            "test_runs": [one.show(now) for one in self.runs.values()],
            "ux_audits": [one.show(now) for one in self.audits.values()],
        }

    def _enter(
        self,
        flow: Flow,
        outcome: Status,
        error: str | None,
        times: tuple[datetime, datetime, datetime],
        run_id: str | None = None,
    ) -> Run:
        number = next(self._numbers)
        run = Run(run_id or f"run-{number}", flow, outcome, error, *times, number)
        self.runs[run.run_id] = run
        return run
