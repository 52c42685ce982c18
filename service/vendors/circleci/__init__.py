"""CircleCI: finished workflows and jobs.

Pages: circleci.com/docs, outbound webhooks (vendors.md §8.12 has the signature; bodies are general
knowledge).
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="circleci",
        title="CircleCI",
        guide=Guide(
            pages=("https://circleci.com/docs/webhooks/",),
            incoming=(
                "In the project's settings, open Webhooks and add one.",
                (
                    "Give it a name and the address {url}, and choose Workflow Completed and Job "
                    "Completed."
                ),
                "Set a secret token and put it into the variable CIRCLECI_WEBHOOK_SECRET.",
                "Send an example with Test Ping Event.",
            ),
            notes=(
                "Whether a workflow passed stands in facts.status; the event's name is the same.",
                (
                    "Nothing in a delivery says when it was signed, so a replay is known by the "
                    "event's id alone."
                ),
            ),
            configuration=source_configuration("circleci", "CIRCLECI_WEBHOOK_SECRET"),
        ),
        schemes=("circleci",),
        subject=("job.id", "workflow.id"),
        time=("happened_at",),
        fact=("id",),
        facts={
            "name": ("job.name", "workflow.name"),
            "status": ("job.status", "workflow.status"),
            "repository": ("project.slug",),
            "branch": ("pipeline.vcs.branch",),
            "commit_sha": ("pipeline.vcs.revision",),
            "url": ("workflow.url",),
        },
    )
)
