"""Ready schemes by name, as data: what vendors publish about their signatures.

The facts are those of vendors.md §0.1 and §8, where each vendor's page is named. What goes beyond
them is marked as general knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from service.errors import ConfigurationError
from service.signing_scheme import HeaderNames, Scheme

SHA256_BODY = Scheme(
    signature_header="X-Signature-256",
    item_format="prefix",
    prefix="sha256=",
    id_paths=("id",),
    event_paths=("type", "event"),
)
SHA256_HEX = Scheme(signature_header="X-Signature", id_paths=("id",), event_paths=("type", "event"))
SHA256_TIMESTAMP_BODY = Scheme(
    signature_header="X-Signature-256",
    item_format="prefix",
    prefix="sha256=",
    template="{ts}.{body}",
    ts_source="header",
    ts_header="X-Timestamp",
    id_paths=("id",),
    event_paths=("type", "event"),
)
T_V1 = Scheme(
    signature_header="X-Signature",
    item_separator="comma",
    item_format="key_value",
    signature_keys=("v1",),
    template="{ts}.{body}",
    ts_source="item",
    id_paths=("id",),
    event_paths=("type", "event"),
)

# The names webhook-* and svix-* are one scheme to every library of either kind: a sender may use
# the one or the other, and a delivery is taken with either full triple, never with a mixture.
STANDARD_WEBHOOKS = Scheme(
    signature_header="webhook-signature",
    item_separator="space",
    item_format="version_value",
    signature_keys=("v1",),
    ed25519_keys=("v1a",),
    encoding="base64",
    template="{id}.{ts}.{body}",
    ts_source="header",
    ts_header="webhook-timestamp",
    secret_encoding="base64",  # noqa: S106  # names an encoding
    id_header="webhook-id",
    other_headers=(HeaderNames(signature="svix-signature", ts="svix-timestamp", id="svix-id"),),
    id_headers=("webhook-id", "svix-id"),
    event_paths=("type", "event_type", "event"),
)
SVIX = STANDARD_WEBHOOKS.model_copy(
    update={
        "signature_header": "svix-signature",
        "ts_header": "svix-timestamp",
        "id_header": "svix-id",
        "other_headers": (
            HeaderNames(signature="webhook-signature", ts="webhook-timestamp", id="webhook-id"),
        ),
        "id_headers": ("svix-id", "webhook-id"),
    }
)
GITHUB = Scheme(
    signature_header="X-Hub-Signature-256",
    item_format="prefix",
    prefix="sha256=",
    id_headers=("X-GitHub-Delivery",),
    event_headers=("X-GitHub-Event",),
)
SLACK = Scheme(
    signature_header="X-Slack-Signature",
    item_format="prefix",
    prefix="v0=",
    template="v0:{ts}:{body}",
    ts_source="header",
    ts_header="X-Slack-Request-Timestamp",
    id_paths=("event_id",),
    event_paths=("event.type", "type"),
)

PRESETS: Mapping[str, Scheme] = MappingProxyType({
    "sha256-body": SHA256_BODY,
    "sha256-hex": SHA256_HEX,
    "sha256-timestamp-body": SHA256_TIMESTAMP_BODY,
    "t-v1": T_V1,
    "standard-webhooks": STANDARD_WEBHOOKS,
    "svix": SVIX,
    "github": GITHUB,
    "slack": SLACK,
    # Only v1 counts: v0 is a test scheme of the vendor, and taking it would be a downgrade.
    "stripe": T_V1.model_copy(
        update={"signature_header": "Stripe-Signature", "event_paths": ("type",)}
    ),
    "checkrd": T_V1.model_copy(update={"signature_header": "Checkrd-Signature"}),
    # Assumed (vendors.md §5.1): the vendor offers no webhook yet.
    "checksum": SHA256_HEX.model_copy(
        update={"signature_header": "X-Checksum-Signature", "template": "{ts}.{body}",
                "ts_source": "header", "ts_header": "X-Checksum-Timestamp"}
    ),
    "checkly": SHA256_HEX.model_copy(
        update={"signature_header": "x-checkly-signature", "id_paths": ()}
    ),
    "sentry": Scheme(
        signature_header="Sentry-Hook-Signature",
        other_headers=(HeaderNames(signature="Sentry-App-Signature"),),
        id_headers=("Request-ID",),
        event_headers=("Sentry-Hook-Resource",),
        event_paths=("action",),
    ),
    "pagerduty": Scheme(
        signature_header="X-PagerDuty-Signature",
        item_separator="comma",
        item_format="prefix",
        prefix="v1=",
        id_paths=("event.id",),
        event_paths=("event.event_type",),
    ),
    "gitlab-token": Scheme(
        signature_header="X-Gitlab-Token",
        algorithm="token-equality",
        encoding="text",
        id_headers=("Idempotency-Key", "X-Gitlab-Event-UUID"),
        event_headers=("X-Gitlab-Event",),
        event_paths=("object_kind",),
    ),
    "gitlab": STANDARD_WEBHOOKS.model_copy(
        update={"other_headers": (), "id_headers": ("webhook-id",),
                "event_headers": ("X-Gitlab-Event",)}
    ),
    "vercel": Scheme(
        signature_header="x-vercel-signature",
        algorithm="hmac-sha1",
        id_paths=("id",),
        event_paths=("type",),
    ),
    "linear": Scheme(
        signature_header="Linear-Signature",
        ts_source="body",
        ts_path="webhookTimestamp",
        ts_unit="ms",
        tolerance_s=60,
        id_headers=("Linear-Delivery",),
        event_headers=("Linear-Event",),
        event_paths=("type",),
    ),
    "shopify": Scheme(
        signature_header="X-Shopify-Hmac-Sha256",
        encoding="base64",
        id_headers=("X-Shopify-Event-Id", "X-Shopify-Webhook-Id"),
        event_headers=("X-Shopify-Topic",),
    ),
    "zendesk": Scheme(
        signature_header="X-Zendesk-Webhook-Signature",
        encoding="base64",
        template="{ts}{body}",
        ts_source="header",
        ts_header="X-Zendesk-Webhook-Signature-Timestamp",
        ts_unit="iso",
        id_headers=("X-Zendesk-Webhook-Invocation-Id",),
        event_paths=("type",),
    ),
    "circleci": Scheme(
        signature_header="circleci-signature",
        item_separator="comma",
        item_format="prefix",
        prefix="v1=",
        id_paths=("id",),
        event_paths=("type",),
    ),
    "buildkite": Scheme(
        signature_header="X-Buildkite-Signature",
        item_separator="comma",
        item_format="key_value",
        signature_keys=("signature",),
        template="{ts}.{body}",
        ts_source="item",
        ts_key="timestamp",
        event_headers=("X-Buildkite-Event",),
        event_paths=("event",),
    ),
    "buildkite-token": Scheme(
        signature_header="X-Buildkite-Token",
        algorithm="token-equality",
        encoding="text",
        event_headers=("X-Buildkite-Event",),
        event_paths=("event",),
    ),
    "snyk": GITHUB.model_copy(
        update={"signature_header": "X-Hub-Signature", "id_headers": (),
                "event_headers": ("X-Snyk-Event",)}
    ),
    "workos": T_V1.model_copy(
        update={"signature_header": "WorkOS-Signature", "ts_unit": "ms",
                "event_paths": ("event",)}
    ),
    "cal": SHA256_HEX.model_copy(
        update={"signature_header": "X-Cal-Signature-256", "event_paths": ("triggerEvent",)}
    ),
    "discord": Scheme(
        signature_header="X-Signature-Ed25519",
        algorithm="ed25519",
        template="{ts}{body}",
        ts_source="header",
        ts_header="X-Signature-Timestamp",
        secret_encoding="hex",  # noqa: S106  # names an encoding
        id_paths=("id", "event.id"),
        event_paths=("event.type", "type"),
    ),
    # The names of both headers, DER in the signature and the base64 DER public key are general
    # knowledge; vendors.md §8.12 has the algorithm and what is signed. The time is bound loosely:
    # a day of retries must not be refused should they repeat the first attempt's time.
    "sendgrid": Scheme(
        signature_header="X-Twilio-Email-Event-Webhook-Signature",
        algorithm="ecdsa-p256-sha256",
        encoding="base64",
        template="{ts}{body}",
        ts_source="header",
        ts_header="X-Twilio-Email-Event-Webhook-Timestamp",
        tolerance_s=86_400,
        secret_encoding="base64",  # noqa: S106  # names an encoding
        event_paths=("event",),
    ),
    "header-token": Scheme(
        signature_header="X-Hookwright-Token",
        algorithm="token-equality",
        encoding="text",
        id_paths=("id",),
        event_paths=("type", "event"),
    ),
    "bearer-token": Scheme(
        signature_header="Authorization",
        item_format="prefix",
        prefix="Bearer ",
        algorithm="token-equality",
        encoding="text",
        id_paths=("id",),
        event_paths=("type", "event"),
    ),
    "basic-auth": Scheme(
        signature_header="Authorization",
        item_format="prefix",
        prefix="Basic ",
        algorithm="token-equality",
        encoding="base64",
        id_paths=("id",),
        event_paths=("type", "event"),
    ),
})  # fmt: skip


def preset(name: str) -> Scheme:
    """Give the scheme of this name. Raises ConfigurationError that lists the names there are."""
    found = PRESETS.get(name)
    if found is None:
        raise ConfigurationError(
            f"there is no signature scheme {name!r}",
            hint="known schemes: " + ", ".join(sorted(PRESETS)),
        )
    return found
