"""Alerts: what happened to checks, what was told of it and what was withheld (reference 2.1, 2.4).

This book is the twin's own record: whether everything in it is known to somebody else, once, is
what a reconciliation can be proven by.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.twins.checkly import bodies
from examples.twins.checkly.account import APP, Account, Check, iso
from examples.twins.checkly.channels import AT_ONCE, Channels, Notification
from examples.twins.checkly.check_runs import CheckRuns
from examples.twins.checkly.paging import flag, moment, numbered
from examples.twins.twin import Refusal

USUAL_REACH = timedelta(hours=6)
FAILING = frozenset({"ALERT_FAILURE", "ALERT_DEGRADED_FAILURE", "ALERT_FAILURE_REMAIN"})
DEGRADED = frozenset({"ALERT_DEGRADED", "ALERT_DEGRADED_REMAIN", "ALERT_FAILURE_DEGRADED"})


@dataclass(slots=True)
class Alert:
    """One alert of one check."""

    alert_id: str
    check: Check
    alert_type: str
    result_id: str
    started_at: datetime
    error: str
    withheld: bool
    notifications: list[Notification] = field(default_factory=list)

    def row(self, *, with_result: bool) -> dict[str, object]:
        """The alert as the list has it (the row's members are assumed)."""
        row: dict[str, object] = {
            "id": self.alert_id,
            "name": self.check.name,
            "checkId": self.check.check_id,
            "checkType": self.check.type,
            "alertType": self.alert_type,
            "hasFailures": self.alert_type in FAILING,
            "hasErrors": False,
            "isDegraded": self.alert_type in DEGRADED,
            "responseTime": 812,
            "runLocation": "eu-west-1",
            "error": self.error or None,
            "startedAt": iso(self.started_at),
            "created_at": iso(self.started_at),
        }
        if with_result:
            row["checkResultId"] = self.result_id
        return row

    def variables(self) -> dict[str, object]:
        """What a template can speak of."""
        check = self.check
        link = f"{APP}/checks/{check.check_id}/results/{self.result_id}"
        words = self.alert_type.removeprefix("ALERT_").replace("_", " ").lower()
        return {
            "ALERT_TITLE": f"{check.name}: {words}",
            "ALERT_TYPE": self.alert_type,
            "CHECK_ID": check.check_id,
            "CHECK_NAME": check.name,
            "CHECK_TYPE": check.type,
            "CHECK_RESULT_ID": self.result_id,
            "CHECK_ERROR_MESSAGE": self.error,
            "GROUP_NAME": check.group,
            "REGION": "eu-west-1",
            "RUN_LOCATION": "eu-west-1",
            "RESPONSE_TIME": 812,
            "RESULT_LINK": link,
            "STARTED_AT": iso(self.started_at),
            "TAGS": list(check.tags),
            "SSL_DAYS_REMAINING": 14 if self.alert_type == "ALERT_SSL" else "",
            "SSL_CHECK_DOMAIN": "api.acme.example" if self.alert_type == "ALERT_SSL" else "",
        }

    def show(self) -> dict[str, object]:
        """The alert in the twin's own record."""
        return {
            **self.row(with_result=True),
            "withheld": self.withheld,
            "sent": [
                {"arrived": one.arrived, "tries": len(one.attempts), "body": one.body}
                for one in self.notifications
            ],
        }


class Alerts:
    """All alerts, and the calls about them."""

    def __init__(self, account: Account, channels: Channels, runs: CheckRuns) -> None:
        self._account = account
        self._channels = channels
        self._runs = runs
        self.clear()

    def clear(self) -> None:
        """Nothing has happened."""
        self._alerts: list[Alert] = []

    def routes(self) -> Sequence[Route]:
        """Paths and methods."""
        get = ["GET"]
        return (
            Route("/v1/check-alerts", self.list_alerts, methods=get),
            Route("/v1/check-alerts/{id}", self.list_alerts, methods=get),
            Route("/v1/alert-notifications", self.list_notifications, methods=get),
        )

    async def happen(self, asked: bodies.AddedAlerts) -> list[Alert]:
        """Lever: let alerts happen, and tell those that are not withheld."""
        if asked.withheld > asked.count:
            raise Refusal(400, {"error": "more are withheld than there are"})
        checks = [self._account.known_check(one) for one in asked.checks] or [
            check for check in self._account.checks.values() if check.activated
        ]
        hidden = {
            int((number + 0.5) * asked.count / asked.withheld) for number in range(asked.withheld)
        }
        last = self._account.clock.now() - timedelta(seconds=asked.ago_s)
        happened = []
        for number in range(asked.count):
            at = last - timedelta(seconds=asked.every_s * (asked.count - 1 - number))
            kind = asked.types[number % len(asked.types)]
            check = checks[number % len(checks)]
            result = self._runs.note(
                check, at, failing=kind in FAILING, degraded=kind in DEGRADED, error=asked.error
            )
            happened.append(
                Alert(
                    str(uuid4()), check, kind, result.result_id, at, asked.error, number in hidden
                )
            )
        self._alerts.extend(happened)
        await self._tell([alert for alert in happened if not alert.withheld], asked.repeat)
        return happened

    def state(self) -> list[dict[str, object]]:
        """Everything that happened, oldest first."""
        return [alert.show() for alert in self._alerts]

    async def list_alerts(self, request: Request) -> Response:
        """A page of alerts; without a beginning, of the last six hours."""
        account = self._account
        since = moment(request, "from", account) or account.clock.now() - USUAL_REACH
        until = moment(request, "to", account)
        owner = request.path_params.get("id")
        if owner is not None:
            account.known_check(owner)
        rows = [
            alert.row(with_result=account.settings.rows_name_result)
            for alert in sorted(self._alerts, key=lambda one: one.started_at)
            if alert.started_at >= since
            and (until is None or alert.started_at < until)
            and owner in {None, alert.check.check_id}
        ]
        return numbered(account.ordered(rows), request)

    async def list_notifications(self, request: Request) -> Response:
        """A page of the delivery log."""
        account = self._account
        since, until = moment(request, "from", account), moment(request, "to", account)
        failures, wanted = flag(request, "hasFailures"), request.query_params.get("alertChannelId")
        rows = [
            one.show()
            for one in self._channels.notifications
            if (since is None or one.at >= since)
            and (until is None or one.at < until)
            and failures in {None, not one.arrived}
            and wanted in {None, str(one.channel)}
        ]
        return numbered(account.ordered(rows), request)

    async def _tell(self, alerts: Sequence[Alert], repeat: int) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def tell(alert: Alert) -> None:
            async with gate:
                variables: Mapping[str, object] = alert.variables()
                alert.notifications = await self._channels.send(
                    variables, alert_id=alert.alert_id, repeat=repeat
                )

        await asyncio.gather(*(tell(alert) for alert in alerts))
