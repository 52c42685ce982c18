"""The `alert-history` calls, which reconciliation reads."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.twins.checkrd.account import Account, refusal, written
from examples.twins.checkrd.paging import list_page
from examples.twins.checkrd.rules_book import Change

PERIODS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
USUAL_ROWS = 25
MOST_RULES = 50
STATES = ("firing", "resolved", "pending", "ok", "no_data")


class History:
    """Changes of all rules."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        return (
            Route("/v1/alert-history", self.list, methods=["GET"]),
            Route("/v1/alert-history/timeseries", self.count, methods=["GET"]),
        )

    async def list(self, request: Request) -> Response:
        """A page of the changes that fit, newest first."""
        rows = [change.show() for change in self._found(request)]
        return list_page(request, rows, usual=USUAL_ROWS)

    async def count(self, request: Request) -> Response:
        """How many changes to each state there were in each hour."""
        hours: dict[datetime, Counter[str]] = {}
        for change in reversed(self._found(request)):
            hour = change.evaluated_at.replace(minute=0, second=0, microsecond=0)
            hours.setdefault(hour, Counter())[change.new_state] += 1
        buckets = [
            {
                "bucket_start": written(hour),
                **{state: counted[state] for state in STATES},
                "total": counted.total(),
            }
            for hour, counted in hours.items()
        ]
        return JSONResponse({"data": buckets})

    def _found(self, request: Request) -> Sequence[Change]:
        wanted = request.query_params
        since, until = self._time(request)
        rules = wanted["alert_rule_id"].split(",") if "alert_rule_id" in wanted else None
        if rules is not None and len(rules) > MOST_RULES:
            message = f"at most {MOST_RULES} rules"
            raise refusal(400, message, "invalid_parameter", "alert_rule_id")
        found = [
            change
            for change in self._account.rules.history
            if since <= change.evaluated_at < until
            and (rules is None or change.rule.id in rules)
            and wanted.get("agent_id", change.rule.agent_id) == change.rule.agent_id
            and wanted.get("new_state", change.new_state) == change.new_state
        ]
        return sorted(found, key=lambda change: change.evaluated_at, reverse=True)

    def _time(self, request: Request) -> tuple[datetime, datetime]:
        wanted, now = request.query_params, self._account.clock.now()
        if "from" in wanted or "to" in wanted:
            since = _read(wanted.get("from"), "from") or now - PERIODS["30d"]
            return since, _read(wanted.get("to"), "to") or now
        period = PERIODS.get(wanted.get("period", "24h"))
        if period is None:
            raise refusal(400, "period is not known", "invalid_parameter", "period")
        return now - period, now + timedelta(seconds=1)


def _read(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise refusal(400, f"{name} is no time", "invalid_parameter", name) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
