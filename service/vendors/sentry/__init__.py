"""Sentry: errors and metric alerts, sent by an integration.

Pages: docs.sentry.io, integration-platform/webhooks (vendors.md §8.4). The actions of metric alerts
and where bodies keep what we read inside `data` are general knowledge.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="sentry",
        title="Sentry",
        guide=Guide(
            pages=(
                "https://docs.sentry.io/organization/integrations/integration-platform/webhooks/",
            ),
            incoming=(
                (
                    "In Sentry, open Settings, then Developer Settings, and create an internal "
                    "integration."
                ),
                "Set its Webhook URL to {url} and switch Alert Rule Action on.",
                "Choose the resources it is to send: issue, error, comment.",
                "Save it, copy the Client Secret into the variable SENTRY_CLIENT_SECRET.",
                "In the alert rules that matter, choose the integration as an action.",
            ),
            notes=(
                (
                    "Sentry waits one second for an answer and unsubscribes after 1000 timeouts "
                    "within 24 hours."
                ),
                (
                    "A metric alert becomes check.failed (critical), check.degraded (warning) or "
                    "check.recovered (resolved); everything else keeps Sentry's own name, as in "
                    "sentry.issue.created."
                ),
                "Bodies may be empty; the event then has its name from the header alone.",
            ),
            configuration=source_configuration("sentry", "SENTRY_CLIENT_SECRET"),
        ),
        schemes=("sentry",),
        events={
            "metric_alert.critical": "check.failed",
            "metric_alert.warning": "check.degraded",
            "metric_alert.resolved": "check.recovered",
        },
        named_by=("@Sentry-Hook-Resource",),
        detailed_by=("action",),
        subject=(
            "data.metric_alert.alert_rule.id",
            "data.issue.id",
            "data.event.issue_id",
            "data.error.issue_id",
            "data.issue_id",
            "installation.uuid",
        ),
        time=("@Sentry-Hook-Timestamp",),
        facts={
            "check_id": ("data.metric_alert.alert_rule.id",),
            "name": ("data.metric_alert.alert_rule.name", "data.description_title"),
            "status": ("action",),
            "result_id": ("data.metric_alert.id",),
            "error": ("data.description_text",),
            "title": ("data.issue.title", "data.event.title", "data.error.title"),
            "level": ("data.issue.level", "data.event.level", "data.error.level"),
            "url": (
                "data.web_url",
                "data.issue.web_url",
                "data.event.web_url",
                "data.error.web_url",
            ),
        },
        empty=True,
    )
)
