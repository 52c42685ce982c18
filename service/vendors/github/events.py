"""GitHub's events: the delivery key and the names. They keep GitHub's own names (contract §7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.events import EventDraft
from service.vendors.base import Delivery
from service.vendors.github.options import GitHubOptions
from service.vendors.github.payloads import Body
from service.vendors.github.readers import READERS, read_facts
from service.vendors.reading import (
    as_key,
    as_name,
    as_text,
    header_text,
    is_form,
    read_form,
    read_object,
)

# docs.github.com, webhooks/webhook-events-and-payloads. A name that is not here becomes
# `github.<name>`, so that a workflow cannot mistake what we do not know for what we do.
EVENTS = frozenset(
    {
        "branch_protection_configuration",
        "branch_protection_rule",
        "bypass_request_push_ruleset",
        "bypass_request_secret_scanning",
        "cache_sync",
        "check_run",
        "check_suite",
        "code_scanning_alert",
        "commit_comment",
        "content_reference",
        "create",
        "custom_property",
        "custom_property_promoted_to_enterprise",
        "custom_property_values",
        "delete",
        "dependabot_alert",
        "deploy_key",
        "deployment",
        "deployment_protection_rule",
        "deployment_review",
        "deployment_status",
        "discussion",
        "discussion_comment",
        "dismissal_request_code_scanning",
        "dismissal_request_dependabot",
        "dismissal_request_secret_scanning",
        "enterprise",
        "exemption_request_push_ruleset",
        "exemption_request_secret_scanning",
        "fork",
        "github_app_authorization",
        "gollum",
        "installation",
        "installation_repositories",
        "installation_target",
        "issue_comment",
        "issue_dependencies",
        "issues",
        "label",
        "marketplace_purchase",
        "member",
        "membership",
        "merge_group",
        "meta",
        "milestone",
        "org_block",
        "organization",
        "package",
        "page_build",
        "personal_access_token_request",
        "ping",
        "project",
        "project_card",
        "project_column",
        "projects_v2",
        "projects_v2_item",
        "projects_v2_status_update",
        "public",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "pull_request_review_thread",
        "push",
        "registry_package",
        "release",
        "repository",
        "repository_advisory",
        "repository_dispatch",
        "repository_import",
        "repository_ruleset",
        "repository_vulnerability_alert",
        "secret_scanning_alert",
        "secret_scanning_alert_location",
        "secret_scanning_scan",
        "security_advisory",
        "security_and_analysis",
        "sponsorship",
        "star",
        "status",
        "sub_issues",
        "team",
        "team_add",
        "user",
        "watch",
        "workflow_dispatch",
        "workflow_job",
        "workflow_run",
    }
)
_WITHOUT_ACTION = frozenset({"create", "delete", "push", "status", "workflow_dispatch"})
TYPES: Mapping[str, str] = MappingProxyType(
    {name: name if name in _WITHOUT_ACTION else f"{name}.<action>" for name in sorted(READERS)}
    | {"*": "<name>.<action>"}
)

_DELIVERY = ("x-github-delivery",)
_EVENT = ("x-github-event",)


def delivery_key(delivery: Delivery, _options: GitHubOptions) -> str:
    """Give the delivery's GUID, which a redelivery repeats; without one the body's digest."""
    guid = header_text(delivery, _DELIVERY)
    return as_key(guid) if guid else delivery.body_digest()


def normalise(delivery: Delivery, options: GitHubOptions) -> list[EventDraft]:
    """Give the one event, or none when its sender is to be ignored.

    Its fact is the delivery's GUID, which redeliveries repeat and the hook's record shows.
    Raises ValueError when the body is no JSON object or the header names no event.
    """
    name = header_text(delivery, _EVENT)
    if name is None:
        message = "the header X-GitHub-Event is missing"
        raise ValueError(message)
    text = read_form(delivery.body, "payload") if is_form(delivery) else delivery.body
    payload = read_object(text)
    body = Body.model_validate(payload)
    if body.sender.login is not None and body.sender.login in options.ignore_senders:
        return []
    # `repository_dispatch` has the caller's own text as its action, any text at all.
    action = as_text(payload.get("action"))
    vendor_type = as_name(f"{name}.{action}" if action else name)
    facts, subject, time = read_facts(name, body)
    guid = header_text(delivery, _DELIVERY)
    return [
        EventDraft(
            type=vendor_type if name in EVENTS else f"github.{vendor_type}",
            vendor_type=vendor_type,
            subject=subject,
            time=time,
            facts=facts.model_dump(mode="json"),
            payload=payload,
            fact=f"delivery:{as_key(guid)}" if guid else "",
        )
    ]
