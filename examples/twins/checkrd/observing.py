"""Telemetry, dashboard, audit log, billing, keys, health."""

from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkrd.account import Account, refusal, written
from examples.twins.checkrd.bodies import Telemetry
from examples.twins.checkrd.http_signature import fault_of
from examples.twins.checkrd.idempotency import IdempotencyKeys
from examples.twins.checkrd.paging import list_page
from examples.twins.ratelimit import Limits
from examples.twins.record import mark_effect

FILTERS = {
    "agent_id": "agent_id",
    "method": "method",
    "host": "url_host",
    "policy_result": "policy_result",
    "trace_id": "trace_id",
}


class Observing:
    """What agents did, and the account."""

    def __init__(self, account: Account, keys: IdempotencyKeys, limits: Limits) -> None:
        self._account = account
        self._once = keys.once
        self._limits = limits
        self._nonces: set[str] = set()

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        get = ["GET"]
        return (
            Route("/v1/telemetry", self._once(self.take), methods=["POST"]),
            Route("/v1/dashboard/stats", self.show_stats, methods=get),
            Route("/v1/dashboard/events", self.list_requests, methods=get),
            Route("/v1/dashboard/timeseries", self.by_minute, methods=get),
            Route("/v1/dashboard/agents", self.by_agent, methods=get),
            Route("/v1/dashboard/hosts", self.by_host, methods=get),
            Route("/v1/dashboard/rule-hits", self.by_rule, methods=get),
            Route("/v1/audit-log", self.list_audit, methods=get),
            Route("/v1/audit-log/{type}/{id}", self.list_audit, methods=get),
            Route("/v1/billing/status", self.show_billing, methods=get),
            Route("/v1/keys", self.list_keys, methods=get),
            Route("/health", self.show_health, methods=get),
        )

    async def take(self, request: Request) -> Response:
        """Take telemetry that its agent signed; an agent without public key need not sign."""
        standing = self._limits["telemetry"].take("org", self._account.clock.seconds())
        if not standing.allowed:
            refused = refusal(429, "The plan's telemetry is used up", "plan_limit_exceeded")
            refused.headers = (("retry-after", str(standing.retry_after_s)),)
            raise refused
        raw = await request.body()
        agent = self._account.agent(request.headers.get("x-checkrd-signer-agent", ""))
        if agent.public_key is not None:
            fault = fault_of(request, raw, agent.public_key, self._nonces)
            if fault is not None:
                raise refusal(401, fault, "invalid_signature")
        asked = Telemetry.model_validate_json(raw or b"{}")
        for event in asked.events:
            self.add_request({"agent_id": agent.id, **event})
        mark_effect(request)
        return JSONResponse({"accepted": len(asked.events)}, 202)

    def add_request(self, given: dict[str, object]) -> None:
        """Enter a request that an agent made."""
        self._account.requests.append(
            {
                "id": str(uuid4()),
                "request_id": str(uuid4()),
                "timestamp": written(self._account.clock.now()),
                "agent_id": None,
                "url_host": "api.example.com",
                "url_path": "/v1/orders",
                "method": "GET",
                "status_code": 200,
                "latency_ms": 12.5,
                "policy_result": "allowed",
                "deny_reason": None,
                "matched_rule": "read the catalogue",
                "trace_id": None,
                "span_id": None,
                **given,
            }
        )

    async def show_stats(self, request: Request) -> Response:
        """The totals."""
        return JSONResponse(_totals(self._found(request)))

    async def list_requests(self, request: Request) -> Response:
        """A page of requests, newest first."""
        return list_page(request, self._found(request))

    async def by_minute(self, request: Request) -> Response:
        """The totals of each minute."""
        return self._grouped(request, "timestamp", "bucket_start", cut=len("2026-01-01T00:00"))

    async def by_agent(self, request: Request) -> Response:
        """The totals of each agent."""
        return self._grouped(request, "agent_id", "agent_id")

    async def by_host(self, request: Request) -> Response:
        """The totals of each host."""
        return self._grouped(request, "url_host", "host")

    async def by_rule(self, request: Request) -> Response:
        """How often each rule of a policy decided."""
        counted = Counter(str(row["matched_rule"]) for row in self._found(request))
        return JSONResponse({"data": [{"rule": name, "hits": n} for name, n in counted.items()]})

    async def list_audit(self, request: Request) -> Response:
        """A page of the audit log, newest first; of one thing when it is named."""
        rows = list(reversed(self._account.audit))
        if "type" in request.path_params:
            wanted = (request.path_params["type"], request.path_params["id"])
            rows = [row for row in rows if (row["resource_type"], row["resource_id"]) == wanted]
        return list_page(request, rows)

    async def show_billing(self, _: Request) -> Response:
        """The plan."""
        return JSONResponse(
            {
                "plan_tier": self._account.settings.plan,
                "subscription_status": "active",
                "paid_until": "2026-12-31T00:00:00Z",
                "trial_ends_at": None,
                "limits": {"agents": 50},
                "usage": {"agents": len(self._account.agents.all())},
            }
        )

    async def list_keys(self, request: Request) -> Response:
        """The API key, without itself."""
        prefix = self._account.settings.key[:8]
        row: dict[str, object] = {
            "id": "key_1",
            "name": "twin",
            "prefix": prefix,
            "created_at": None,
        }
        return list_page(request, [row])

    async def show_health(self, _: Request) -> Response:
        """All is well."""
        return JSONResponse({"status": "ok", "control_propagation": "live"})

    def _found(self, request: Request) -> list[dict[str, object]]:
        wanted = request.query_params
        rows = list(reversed(self._account.requests))
        for name, member in FILTERS.items():
            if name in wanted:
                rows = [row for row in rows if row[member] == wanted[name]]
        if "status_code" in wanted:
            rows = [row for row in rows if str(row["status_code"]) == wanted["status_code"]]
        if "status_class" in wanted:
            first = wanted["status_class"][:1]
            rows = [row for row in rows if str(row["status_code"])[:1] == first]
        if "from" in wanted:
            rows = [row for row in rows if str(row["timestamp"]) >= wanted["from"]]
        if "to" in wanted:
            rows = [row for row in rows if str(row["timestamp"]) < wanted["to"]]
        return rows

    def _grouped(
        self, request: Request, member: str, name: str, cut: int | None = None
    ) -> Response:
        groups: dict[str, list[dict[str, object]]] = {}
        for row in self._found(request):
            groups.setdefault(str(row[member])[:cut], []).append(row)
        data = [{name: key, **_totals(rows)} for key, rows in groups.items()]
        return JSONResponse({"data": data})


def _totals(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    denied = sum(row["policy_result"] == "denied" for row in rows)
    return {"total": len(rows), "denied": denied, "allowed": len(rows) - denied}
