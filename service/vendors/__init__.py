"""The vendors Hookwright knows, as one tuple that can be read; nothing is found by scanning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from service.vendors import (
    buildkite,
    checkly,
    checkrd,
    checksum,
    checkview,
    circleci,
    cloudevents,
    datadog,
    discord,
    generic,
    github,
    gitlab,
    linear,
    pagerduty,
    sendgrid,
    sentry,
    shopify,
    slack,
    standardwebhooks,
    stripe,
    svix,
    vercel,
    vibeview,
    workos,
    zendesk,
)
from service.vendors.base import Vendor

__all__ = ["BY_NAME", "VENDORS"]

VENDORS: tuple[Vendor, ...] = (
    vibeview.VENDOR,
    checkly.VENDOR,
    checkview.VENDOR,
    checkrd.VENDOR,
    checksum.VENDOR,
    github.VENDOR,
    slack.VENDOR,
    gitlab.VENDOR,
    stripe.VENDOR,
    sentry.VENDOR,
    pagerduty.VENDOR,
    datadog.VENDOR,
    vercel.VENDOR,
    linear.VENDOR,
    shopify.VENDOR,
    zendesk.VENDOR,
    circleci.VENDOR,
    buildkite.VENDOR,
    discord.VENDOR,
    sendgrid.VENDOR,
    svix.VENDOR,
    standardwebhooks.VENDOR,
    workos.VENDOR,
    cloudevents.VENDOR,
    generic.VENDOR,
)

BY_NAME: Mapping[str, Vendor] = MappingProxyType({vendor.name: vendor for vendor in VENDORS})
