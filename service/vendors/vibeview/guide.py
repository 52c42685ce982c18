"""What a person does at VibeView (vibeview.io/docs, read 2026-10; vendors.md §1)."""

from __future__ import annotations

from service.vendors.base import Guide

GUIDE = Guide(
    pages=(
        "https://vibeview.io/docs/api-reference",
        "https://vibeview.io/docs/webhooks-slack",
        "https://vibeview.io/docs/visual-regression",
        "https://vibeview.io/docs/ai-credits",
    ),
    incoming=(
        "In VibeView, open Settings → Integrations and choose Add webhook.",
        "Give {url} as its URL.",
        (
            "Copy the signing secret from the banner: it is displayed this once. Put it into the "
            "environment variable VIBEVIEW_WEBHOOK_SECRET."
        ),
        (
            "On the Events tab, subscribe to run.passed, run.failed and "
            "visual.run_completed_with_regressions, which are on by default, and to what else "
            "your workflows wait for: visual.regression_warning and case.failed are off by "
            "default."
        ),
        (
            "Send a test event from the Events tab. If it is refused, run `hookwright source "
            "identify` on it, which says which scheme it is signed with, and set options.scheme "
            "to that."
        ),
    ),
    outgoing=(
        (
            "In VibeView, create an organisation API token with the role developer; to make links "
            "for buying credit or to manage webhooks, with the role admin."
        ),
        (
            "Copy the token (tok_…): it is displayed this once. Put it into the environment "
            "variable VIBEVIEW_API_TOKEN."
        ),
    ),
    notes=(
        (
            "Put repository, branch, pr_number and commit_sha into the metadata of every run you "
            "start: VibeView brings them back in the run's webhooks, and that is how a workflow "
            "finds the pull request."
        ),
        (
            "A run can pass and still have crossed a visual tier. Then run.passed gives two "
            "events: test_run.passed and visual_regression.warned or visual_regression.failed."
        ),
        (
            "visual.run_completed_with_regressions comes once a run, visual.regression_warning "
            "once a step: the first is the better trigger for one comment."
        ),
        (
            "run.warning.flaky and run.warning.byok_quota_low are in VibeView's list of events "
            "and are not sent yet."
        ),
        (
            "The names of billing events are not published. Credit is therefore watched by the "
            "poll credit_balance, which needs no webhook; add names you see to options.events."
        ),
        (
            "VibeView keeps every attempt to deliver for 30 days and sends any of them again, "
            "under the same event id and perhaps a new delivery id: an event counts once all the "
            "same."
        ),
        (
            "A new signing secret ends the old one at once. Configure both for a few minutes, "
            "because deliveries under way still carry the old signature."
        ),
        (
            "Reconciliation needs a token with the role admin and the id of your webhook as "
            "webhook_id, because VibeView may not tell which webhooks there are. Where the source "
            "has options that say how its bodies are read, give them as body of the record too."
        ),
        "VibeView allows each client 100 calls a minute, 10 of them AI test runs and uploads.",
    ),
    configuration="""\
sources:
  - name: vibeview
    vendor: vibeview
    secrets: [{env: VIBEVIEW_WEBHOOK_SECRET}]
    options: {scheme: sha256-body}
    connection: vibeview
    reconcile: {every: 1h, records: {deliveries: {webhook_id: "1"}}}
connections:
  - name: vibeview
    vendor: vibeview
    credentials: {api_token: {env: VIBEVIEW_API_TOKEN}}
polls:
  - {name: vibeview-credits, connection: vibeview, poll: credit_balance, every: 5m, \
options: {floor_usd: 5}}
  - {name: vibeview-ledger, connection: vibeview, poll: ledger, every: 15m}
  - {name: vibeview-events, connection: vibeview, poll: catalog, every: 24h}
""",
)
