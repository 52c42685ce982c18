"""What a person does at Checkrd, and what surprises people."""

from __future__ import annotations

from service.vendors.base import Guide

GUIDE = Guide(
    pages=(
        "https://checkrd.io/docs/api/overview",
        "https://checkrd.io/docs/api/alerts",
        "https://checkrd.io/docs/api/control",
        "https://checkrd.io/docs/api/errors",
    ),
    incoming=(
        "Store the signing secret of your Checkrd webhooks in the variable CHECKRD_WEBHOOK_SECRET.",
        (
            "Make an alert rule for each agent, with the channel webhook and the channel target "
            "{url}. Every rule has a target of its own."
        ),
        (
            "Give the source the old and the new secret while you rotate: any of them is taken "
            "with any signature of a delivery."
        ),
    ),
    outgoing=(
        (
            "Log in to Checkrd as a user who may stop agents and manage alerts. Store the log-in "
            "token as CHECKRD_JWT and its refresh token as CHECKRD_REFRESH_TOKEN."
        ),
        (
            "For telemetry and control messages make an API key (ck_live_… or ck_test_…) and add "
            "it to the connection as api_key."
        ),
    ),
    notes=(
        (
            "An API key alone may send telemetry and read control messages. Agents, alerts and the "
            "kill switch take a log-in, which lasts a short while: without refresh_token the "
            "connection stops working when it ends."
        ),
        (
            "Use a refresh token that can be used again and again. Where Checkrd gives a new one "
            "with every renewal, only the process that renewed knows it: other processes (doors, "
            "workers) and a restart have the configured one, which may be refused by then. The log "
            "says checkrd_refresh_token_replaced where that happens; then run a single process, "
            "and log in and store both tokens again after a restart."
        ),
        (
            "Stopping an agent is felt by its users. Let a person approve it in the workflow "
            "unless the rule is meant to act by itself."
        ),
        (
            "A rule may go from firing to ok without the state resolved. Both count as "
            "agent_alert.resolved, once for one firing. Any other change comes under its own name, "
            "such as checkrd.alert.pending."
        ),
        (
            "Checkrd does not document the body of its alert webhooks. What they carry is read "
            "from the places that the source's options name; a body with a higher schema_version "
            "is kept and not read."
        ),
        (
            "The alert history has every change, also those of which no webhook is sent: of rules "
            "that tell by e-mail, that are muted or in their cooldown. Poll and reconciliation "
            "bring those too; name alert_rule_ids to leave them out."
        ),
        (
            "The source, the poll and the record need the same option identity, or one alert is "
            "stored twice."
        ),
        (
            "Checkrd's limit counts every caller behind one address. Hookwright keeps three "
            "quarters of it for one connection; lower per_minute when others share the address."
        ),
    ),
    configuration="""\
sources:
  - name: checkrd
    vendor: checkrd
    secrets: [{env: CHECKRD_WEBHOOK_SECRET}]
    connection: checkrd
    reconcile: {every: 1h}
connections:
  - name: checkrd
    vendor: checkrd
    credentials:
      jwt: {env: CHECKRD_JWT}
      refresh_token: {env: CHECKRD_REFRESH_TOKEN}
polls:
  - {name: checkrd-alerts, connection: checkrd, poll: alert_history, every: 2m}
""",
)
