"""Buildkite: builds and jobs, signed or with a plain token.

Pages: buildkite.com/docs, webhooks (vendors.md §8.12 has both ways of proof; bodies, names and the
header `X-Buildkite-Request` are general knowledge).
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="buildkite",
        title="Buildkite",
        guide=Guide(
            pages=("https://buildkite.com/docs/apis/webhooks",),
            incoming=(
                "In the organization's settings, open Notification Services and add a Webhook.",
                "Set the Webhook URL to {url} and choose the events.",
                "Choose to send the token as an HMAC signature.",
                "Copy the token into the variable BUILDKITE_WEBHOOK_SECRET.",
            ),
            notes=(
                (
                    "A service that sends the token in plain needs the option scheme "
                    "buildkite-token; it proves nothing about the body."
                ),
                "Whether a build passed stands in facts.status; the event's name is the same.",
            ),
            configuration=source_configuration(
                "buildkite", "BUILDKITE_WEBHOOK_SECRET", "scheme: buildkite"
            ),
        ),
        schemes=("buildkite", "buildkite-token"),
        known_by=("@X-Buildkite-Request",),
        subject=("job.id", "build.id"),
        time=(
            "job.finished_at",
            "job.started_at",
            "build.finished_at",
            "build.started_at",
            "build.created_at",
        ),
        facts={
            "name": ("job.name", "pipeline.slug"),
            "status": ("job.state", "build.state"),
            "number": ("build.number",),
            "repository": ("pipeline.repository",),
            "branch": ("build.branch",),
            "commit_sha": ("build.commit",),
            "url": ("job.web_url", "build.web_url"),
        },
    )
)
