"""Calls about alert rules, their notifications, and the history of their changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

from service.errors import Permanent
from service.http import path_of
from service.vendors.checkrd.answers import AlertRule, HistoryEntry, Notification, StateBucket
from service.vendors.checkrd.calls import PAGE, CheckrdCalls, Page, chosen, written

ALERTS = "/v1/alerts"
HISTORY = "/v1/alert-history"
MOST_RULES_ASKED = 50

Condition: TypeAlias = Literal["error_rate", "latency_p99", "denied_rate", "volume_drop"]
AlertState: TypeAlias = Literal["ok", "no_data", "pending", "firing", "resolved"]
Channel: TypeAlias = Literal["email", "webhook"]
Period: TypeAlias = Literal["1h", "24h", "7d", "30d"]


class AlertCalls(CheckrdCalls):
    """Alert rules and their history. Changing rules takes a log-in."""

    def list_alerts(
        self,
        *,
        agent_id: str | None = None,
        alert_state: AlertState | None = None,
        condition_type: Condition | None = None,
        is_enabled: bool | None = None,
    ) -> Iterator[AlertRule]:
        """Give every rule that fits, page by page."""
        asked = {
            "agent_id": agent_id,
            "alert_state": alert_state,
            "condition_type": condition_type,
            "is_enabled": None if is_enabled is None else str(is_enabled).lower(),
        }
        return self._every(ALERTS, asked, AlertRule)

    def find_alert(self, rule_id: str, *, agent_id: str | None = None) -> AlertRule | None:
        """Give a rule, from the list: the vendor has no call for one. None when there is none."""
        rules = self.list_alerts(agent_id=agent_id)
        return next((rule for rule in rules if rule.id == rule_id), None)

    def create_alert(
        self,
        *,
        agent_id: str,
        condition_type: Condition,
        threshold: float,
        channel: Channel,
        channel_target: str,
        window_minutes: int | None = None,
        cooldown_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> AlertRule:
        """Make a rule: window 15 minutes and cooldown 60 when they are not named."""
        body = chosen(
            agent_id=agent_id,
            condition_type=condition_type,
            threshold=threshold,
            channel=channel,
            channel_target=channel_target,
            window_minutes=window_minutes,
            cooldown_minutes=cooldown_minutes,
        )
        return self._write("POST", ALERTS, body, key=idempotency_key).read(AlertRule)

    def update_alert(
        self,
        rule_id: str,
        *,
        condition_type: Condition | None = None,
        threshold: float | None = None,
        window_minutes: int | None = None,
        channel: Channel | None = None,
        channel_target: str | None = None,
        cooldown_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> AlertRule:
        """Change what is named."""
        body = chosen(
            condition_type=condition_type,
            threshold=threshold,
            window_minutes=window_minutes,
            channel=channel,
            channel_target=channel_target,
            cooldown_minutes=cooldown_minutes,
        )
        path = ALERTS + path_of(rule_id)
        return self._write("PUT", path, body, key=idempotency_key, repeatable=True).read(AlertRule)

    def delete_alert(self, rule_id: str, *, idempotency_key: str | None = None) -> None:
        """Forget a rule."""
        self._write("DELETE", ALERTS + path_of(rule_id), key=idempotency_key)

    def mute_alert(
        self,
        rule_id: str,
        *,
        until: datetime | None = None,
        duration_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> AlertRule:
        """Let a rule tell nothing until a time, or for so many minutes; `until` goes before."""
        if until is None and duration_minutes is None:
            raise Permanent("a rule is muted until a time or for a duration: neither was given")
        body = chosen(until=written(until), duration_minutes=duration_minutes)
        return self._change(rule_id, "mute", body, idempotency_key, repeatable=until is not None)

    def unmute_alert(self, rule_id: str, *, idempotency_key: str | None = None) -> AlertRule:
        """Let a rule tell again."""
        return self._change(rule_id, "unmute", None, idempotency_key)

    def toggle_alert(
        self, rule_id: str, *, is_enabled: bool, idempotency_key: str | None = None
    ) -> AlertRule:
        """Switch a rule on or off."""
        return self._change(rule_id, "toggle", {"is_enabled": is_enabled}, idempotency_key)

    def history_of_alert(self, rule_id: str) -> Iterator[HistoryEntry]:
        """Give every change of one rule, page by page."""
        return self._every(f"{ALERTS}{path_of(rule_id)}/history", {}, HistoryEntry)

    def notifications(self, rule_id: str) -> Iterator[Notification]:
        """Give every message a rule caused, with what became of it."""
        return self._every(f"{ALERTS}{path_of(rule_id)}/notifications", {}, Notification)

    def alert_history(
        self,
        *,
        period: Period | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        alert_rule_ids: Sequence[str] = (),
        agent_id: str | None = None,
        new_state: AlertState | None = None,
    ) -> Iterator[HistoryEntry]:
        """Give every change of all rules, page by page; `since` and `until` go before `period`."""
        asked = _history_params(period, since, until, alert_rule_ids, agent_id, new_state)
        return self._every(HISTORY, asked, HistoryEntry)

    def alert_history_page(
        self,
        *,
        since: datetime,
        until: datetime,
        alert_rule_ids: Sequence[str] = (),
        agent_id: str | None = None,
        new_state: AlertState | None = None,
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page[HistoryEntry]:
        """Give one page of the changes of all rules; `limit` is at most 100."""
        asked = _history_params(None, since, until, alert_rule_ids, agent_id, new_state)
        return self._page(HISTORY, {**asked, "limit": limit}, HistoryEntry, cursor=cursor)

    def alert_timeseries(
        self,
        *,
        period: Period | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        alert_rule_ids: Sequence[str] = (),
        agent_id: str | None = None,
    ) -> list[StateBucket]:
        """Give how many changes to each state there were over time."""
        asked = _history_params(period, since, until, alert_rule_ids, agent_id, None)
        answer = self._get(f"{HISTORY}/timeseries", asked)
        return [answer.fit(StateBucket, row) for row in answer.objects("data", "buckets")]

    def _change(
        self, rule_id: str, what: str, body: Any, key: str | None, *, repeatable: bool = True
    ) -> AlertRule:
        path = f"{ALERTS}{path_of(rule_id)}/{what}"
        return self._write("POST", path, body, key=key, repeatable=repeatable).read(AlertRule)


def _history_params(
    period: Period | None,
    since: datetime | None,
    until: datetime | None,
    alert_rule_ids: Sequence[str],
    agent_id: str | None,
    new_state: AlertState | None,
) -> dict[str, Any]:
    if len(alert_rule_ids) > MOST_RULES_ASKED:
        raise Permanent(f"Checkrd's alert history is asked for at most {MOST_RULES_ASKED} rules")
    named = since is not None or until is not None
    return {
        "period": None if named else period,
        "from": written(since),
        "to": written(until),
        "alert_rule_id": ",".join(alert_rule_ids) or None,
        "agent_id": agent_id,
        "new_state": new_state,
    }
