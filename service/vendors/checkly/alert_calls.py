"""Calls about alerts: those of checks, their delivery log, alert channels (vendors.md §2.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import Field

from service.http import path_of
from service.vendors.checkly.answers import AlertChannel, AlertNotification, AlertRow
from service.vendors.checkly.calling import LARGEST_PAGE, Api, Page, every
from service.vendors.checkly.session_calls import Wanted

ALERTS = "/v1/check-alerts"
NOTIFICATIONS = "/v1/alert-notifications"
CHANNELS = "/v1/alert-channels"

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"]


class KeyValue(Wanted):
    """A header or query parameter of a webhook."""

    key: str
    value: str
    locked: bool | None = None


class WebhookConfig(Wanted):
    """A webhook: `template` is its body, `webhook_secret` what it is signed with."""

    name: str
    url: str
    method: Method = "POST"
    template: str
    webhook_secret: str | None = Field(default=None, repr=False)
    headers: tuple[KeyValue, ...] = ()
    query_parameters: tuple[KeyValue, ...] = ()


class ChannelOrder(Wanted):
    """An alert channel to be made, with the vendor's own defaults of what it is told."""

    type: str = "WEBHOOK"
    config: WebhookConfig | Mapping[str, Any]
    send_recovery: bool = True
    send_failure: bool = True
    send_degraded: bool = False
    ssl_expiry: bool = False
    ssl_expiry_threshold: int | None = Field(default=None, ge=1)


class AlertCalls:
    """The vendor's record of alerts, and where it sends them."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def alerts_page(
        self,
        *,
        check_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page: int = 1,
        limit: int = LARGEST_PAGE,
    ) -> Page[AlertRow]:
        """Give one page of alerts, of one check when named; pages count from 1.

        Without `since` the vendor reaches back six hours.
        """
        path = ALERTS if check_id is None else f"{ALERTS}{path_of(check_id)}"
        return self._api.numbered_page(
            path, self._window(since, until), AlertRow, page=page, limit=limit
        )

    def alerts(
        self,
        *,
        check_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AlertRow]:
        """Give every alert of that time, page by page, in the vendor's order."""
        return every(
            lambda page: self.alerts_page(
                check_id=check_id, since=since, until=until, page=int(page or 1)
            )
        )

    def notifications_page(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        channel_id: str | None = None,
        has_failures: bool | None = None,
        page: int = 1,
        limit: int = LARGEST_PAGE,
    ) -> Page[AlertNotification]:
        """Give one page of what was sent to alert channels; pages count from 1."""
        params = {
            **self._window(since, until),
            "alertChannelId": channel_id,
            "hasFailures": has_failures,
        }
        return self._api.numbered_page(
            NOTIFICATIONS, params, AlertNotification, page=page, limit=limit
        )

    def notifications(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        channel_id: str | None = None,
        has_failures: bool | None = None,
    ) -> Iterator[AlertNotification]:
        """Give everything that was sent to alert channels in that time, page by page."""
        return every(
            lambda page: self.notifications_page(
                since=since,
                until=until,
                channel_id=channel_id,
                has_failures=has_failures,
                page=int(page or 1),
            )
        )

    # --- channels -------------------------------------------------------------------------------

    def channels_page(self, *, page: int = 1, limit: int = LARGEST_PAGE) -> Page[AlertChannel]:
        """Give one page of alert channels; pages count from 1."""
        return self._api.numbered_page(CHANNELS, {}, AlertChannel, page=page, limit=limit)

    def channels(self) -> Iterator[AlertChannel]:
        """Give every alert channel, page by page."""
        return every(lambda page: self.channels_page(page=int(page or 1)))

    def channel(self, channel_id: str) -> AlertChannel:
        """Give one alert channel."""
        return self._api.get(f"{CHANNELS}{path_of(channel_id)}").read(AlertChannel)

    def create_channel(self, order: ChannelOrder) -> AlertChannel:
        """Make an alert channel; doing it twice makes two."""
        return self._api.send("POST", CHANNELS, order.body()).read(AlertChannel)

    def replace_channel(self, channel_id: str, order: ChannelOrder) -> AlertChannel:
        """Give an alert channel other contents."""
        path = f"{CHANNELS}{path_of(channel_id)}"
        return self._api.send("PUT", path, order.body(), safe=True).read(AlertChannel)

    def delete_channel(self, channel_id: str) -> None:
        """Take an alert channel away."""
        self._api.send("DELETE", f"{CHANNELS}{path_of(channel_id)}", safe=True)

    def _window(self, since: datetime | None, until: datetime | None) -> dict[str, int | None]:
        return {"from": self._api.moment(since), "to": self._api.moment(until, up=True)}
