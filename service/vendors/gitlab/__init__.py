"""GitLab: pushes, merge requests and pipelines, signed the new way or with the classic token.

Pages: docs.gitlab.com/user/project/integrations/webhooks and merge request 230944 of
gitlab-org/gitlab (vendors.md §8.7). The members of bodies are general knowledge.
"""

from __future__ import annotations

from schemas.events import Json
from service.vendors.base import Guide, dig
from service.vendors.declared import Declaration, declare, source_configuration


def _merge_request(body: Json) -> Json:
    """Give a merge request's number; pipelines have an `iid` too, of their own."""
    is_own = dig(body, "object_kind") == "merge_request"
    return dig(body, "object_attributes.iid" if is_own else "merge_request.iid")


VENDOR = declare(
    Declaration(
        name="gitlab",
        title="GitLab",
        guide=Guide(
            pages=("https://docs.gitlab.com/user/project/integrations/webhooks/",),
            incoming=(
                "In the project or group, open Settings, then Webhooks, and add one.",
                "Set the URL to {url}.",
                (
                    "Set a secret token and put it into the variable GITLAB_WEBHOOK_SECRET; or, "
                    "where GitLab offers it, generate a signing token and set the option scheme to "
                    "gitlab."
                ),
                "Choose the triggers, such as pipeline and merge request events, and save.",
                "Send an example with Test.",
            ),
            notes=(
                (
                    "The classic token (scheme gitlab-token, the default) is sent along with every "
                    "delivery and proves nothing about the body. The signing token (scheme gitlab) "
                    "does: use it where you can."
                ),
                "A source takes one of the two, never both: the door does not fall back.",
                (
                    "gitlab.com waits 10 seconds. After 4 failures in a row it pauses the web "
                    "hook, after 40 it switches it off."
                ),
                (
                    "Names are gitlab.<object_kind>, with the action where there is one, as in "
                    "gitlab.merge_request.open; system hooks have gitlab.<event_name>."
                ),
            ),
            configuration=source_configuration(
                "gitlab", "GITLAB_WEBHOOK_SECRET", "scheme: gitlab-token"
            ),
        ),
        schemes=("gitlab-token", "gitlab"),
        named_by=("object_kind", "event_name", "@X-Gitlab-Event"),
        detailed_by=("object_attributes.action",),
        subject=("object_attributes.id", "build_id", "checkout_sha", "project_id"),
        time=(
            "object_attributes.updated_at",
            "object_attributes.finished_at",
            "object_attributes.created_at",
        ),
        facts={
            "repository": ("project.path_with_namespace", "path_with_namespace"),
            "branch": ("object_attributes.source_branch", "object_attributes.ref", "ref"),
            "commit_sha": (
                "object_attributes.sha",
                "object_attributes.last_commit.id",
                "checkout_sha",
                "sha",
            ),
            "pr_number": _merge_request,
            "status": ("object_attributes.status", "object_attributes.state", "build_status"),
            "title": ("object_attributes.title",),
            "url": ("object_attributes.url", "project.web_url"),
        },
    )
)
