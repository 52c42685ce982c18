"""Vercel: deployments of web applications.

Pages: vercel.com/docs/webhooks (vendors.md §8.8). The members of `payload` are general knowledge.
"""

from __future__ import annotations

from service.vendors.base import Guide
from service.vendors.declared import Declaration, declare, source_configuration

VENDOR = declare(
    Declaration(
        name="vercel",
        title="Vercel",
        guide=Guide(
            pages=("https://vercel.com/docs/webhooks",),
            incoming=(
                "In the team's settings, open Webhooks.",
                "Choose the events and the projects, and give the address {url}.",
                (
                    "Create it and copy the secret, which is displayed once, into the variable "
                    "VERCEL_WEBHOOK_SECRET."
                ),
            ),
            notes=(
                (
                    "Nothing in a delivery says when it was signed, so a replay is known by the "
                    "event's id alone."
                ),
                "Signatures are HMAC with SHA-1: still sound for this use, but Vercel's choice.",
            ),
            configuration=source_configuration("vercel", "VERCEL_WEBHOOK_SECRET"),
        ),
        schemes=("vercel",),
        subject=("payload.deployment.id", "payload.project.id"),
        time=("createdAt",),
        fact=("id",),
        facts={
            "deployment_id": ("payload.deployment.id",),
            "name": ("payload.deployment.name",),
            "url": ("payload.deployment.url",),
            "environment": ("payload.target",),
            "branch": ("payload.deployment.meta.githubCommitRef",),
            "commit_sha": ("payload.deployment.meta.githubCommitSha",),
        },
    )
)
