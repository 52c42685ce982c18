"""GitHub's events keep GitHub's names and give a few flat facts."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.configuration import read_configuration
from service.errors import ConfigurationError
from service.vendors import BY_NAME, samples
from service.vendors.github import VENDOR
from service.vendors.github.events import EVENTS
from service.vendors.github.options import GitHubOptions
from tests.vendors.deliveries import NOW, as_delivery, make_delivery
from tests.vendors.key_pairs import rsa_key

INCOMING = BY_NAME["github"].incoming
OPTIONS = GitHubOptions()
HEAD = "4f1c2b7e9d3a5c6b8e0f1a2d3c4b5a6978685746"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def read(event: str, body: bytes, kind: str = JSON, options: GitHubOptions = OPTIONS):
    headers = [("X-GitHub-Event", event), ("Content-Type", kind)]
    return INCOMING.normalise(make_delivery(headers, body), options)


def read_sample(name: str):
    signed = INCOMING.sign(
        samples.read("github", name), "s", NOW, OPTIONS, event=name, delivery_id="d"
    )
    (draft,) = INCOMING.normalise(as_delivery(signed), OPTIONS)
    return draft


EXPECTED: dict[str, dict[str, Any]] = {
    "ping": {"pr_number": None},
    "push": {"branch": "feature/checkout", "commit_sha": HEAD, "pr_number": None},
    "pull_request.opened": {
        "pr_number": 42,
        "branch": "feature/checkout",
        "base_branch": "main",
        "commit_sha": HEAD,
        "merged": False,
        "url": "https://github.com/acme-co/webapp/pull/42",
    },
    "pull_request.synchronize": {"pr_number": 42, "commit_sha": HEAD},
    "pull_request.closed": {"pr_number": 42, "merged": True, "state": "closed"},
    "workflow_run.completed": {
        "pr_number": 42,
        "run_id": 30433642,
        "conclusion": "failure",
        "branch": "feature/checkout",
        "commit_sha": HEAD,
        "attempt": 1,
    },
    "check_run.completed": {"check_id": 128620228, "conclusion": "neutral", "button": None},
    "check_run.requested_action": {"button": "heal", "external_id": "sr9def456y"},
    "check_suite.completed": {"conclusion": "failure", "pr_number": None},
    "issue_comment.created": {"pr_number": 42, "issue_number": 42, "author": "dana-dev"},
    "issues.opened": {
        "url": "https://github.com/acme-co/webapp/issues/57",
        "issue_number": 57,
    },
    "deployment_status.created": {
        "environment": "production",
        "state": "success",
        "url": "https://shop.acme.example",
        "branch": "main",
    },
    "status": {"state": "failure", "context": "vibeview/login-flow", "commit_sha": HEAD},
    "deployment.created": {"environment": "preview", "state": None, "branch": "feature/checkout"},
    "workflow_job.completed": {
        "job_id": 84211903,
        "run_id": 30433642,
        "workflow": "CI",
        "conclusion": "failure",
        "commit_sha": HEAD,
        "attempt": 1,
    },
    "workflow_dispatch": {"workflow": ".github/workflows/smoke.yml", "branch": "main"},
    "repository_dispatch.heal_failed": {"action": "heal_failed", "branch": "main"},
    "release.published": {"tag": "v2.4.0", "branch": "main", "draft": False, "prerelease": False},
    "pull_request_review.submitted": {
        "pr_number": 42,
        "reviewer": "lee-review",
        "verdict": "changes_requested",
        "commit_sha": HEAD,
    },
    "pull_request_review_comment.created": {"pr_number": 42, "path": "src/cart.ts", "line": 31},
    "create": {"branch": "feature/coupons", "tag": None},
    "delete": {"branch": None, "tag": "v2.3.9-rc1"},
    "commit_comment.created": {"commit_sha": HEAD, "author": "lee-review"},
    "discussion.created": {"issue_number": 61, "title": "Which browsers do we test?"},
    "merge_group.checks_requested": {
        "commit_sha": HEAD,
        "branch": "gh-readonly-queue/main/pr-42",
    },
    "dependabot_alert.created": {
        "alert_number": 9,
        "severity": "high",
        "title": "Prototype pollution in a query parser",
    },
    "code_scanning_alert.created": {"alert_number": 4, "severity": "high", "branch": "main"},
    "secret_scanning_alert.created": {"alert_number": 2, "title": "Slack API Token"},
}


def test_every_sample_has_its_expectation():
    assert set(samples.names("github")) == set(EXPECTED)


@pytest.mark.parametrize(("name", "facts"), EXPECTED.items())
def test_names_and_facts_of_the_samples(name, facts):
    draft = read_sample(name)
    assert draft.type == draft.vendor_type == name
    assert draft.facts["repository"] == "acme-co/webapp"
    assert facts.items() <= draft.facts.items()


def test_subjects():
    assert read_sample("pull_request.opened").subject == "acme-co/webapp#42"
    assert read_sample("issue_comment.created").subject == "acme-co/webapp#42"
    assert read_sample("workflow_run.completed").subject == "30433642"
    assert read_sample("push").subject == "acme-co/webapp"


def test_a_comment_on_an_issue_has_no_pull_request():
    body = json.dumps({"action": "created", "issue": {"number": 7}, "comment": {"id": 1}}).encode()
    (draft,) = read("issue_comment", body)
    assert draft.facts["pr_number"] is None
    assert draft.facts["issue_number"] == 7


def test_a_tag_is_no_branch():
    (draft,) = read("push", b'{"ref": "refs/tags/v1"}')
    assert draft.facts["branch"] is None
    assert draft.facts["ref"] == "refs/tags/v1"
    assert draft.facts["tag"] == "v1"


def test_a_branch_that_is_deleted_points_to_no_commit():
    body = {"ref": "refs/heads/x", "after": "0" * 40, "deleted": True, "head_commit": None}
    (draft,) = read("push", json.dumps(body).encode())
    assert (draft.facts["commit_sha"], draft.facts["deleted"]) == (None, True)


def test_what_is_security_has_facts_of_its_own():
    assert read_sample("dependabot_alert.created").subject == "acme-co/webapp#9"


def test_json_and_form_give_the_same():
    raw = samples.read("github", "pull_request.opened")
    form = urlencode({"payload": raw.decode()}).encode()
    assert read("pull_request", raw) == read("pull_request", form, FORM + "; charset=utf-8")


@pytest.mark.parametrize("body", [b"", b"payload=", b"other=1", b"payload={}&payload={}", b"\xff"])
def test_broken_forms(body):
    with pytest.raises(ValueError, match=r".+"):
        read("push", body, FORM)


def test_an_event_we_do_not_know_is_marked():
    (draft,) = read("quantum_leap", b'{"action": "done"}')
    assert draft.type == "github.quantum_leap.done"
    assert draft.vendor_type == "quantum_leap.done"


def test_an_action_of_any_text_is_tamed():
    (draft,) = read(
        "repository_dispatch", json.dumps({"action": "Ünsafe name\n" + "x" * 500}).encode()
    )
    assert draft.type.startswith("repository_dispatch._nsafe_name_x")
    assert len(draft.type) == 100


def test_without_the_event_header():
    with pytest.raises(ValueError, match="X-GitHub-Event"):
        INCOMING.normalise(make_delivery([], b"{}"), OPTIONS)


def test_our_own_doings_give_no_events():
    options = GitHubOptions(ignore_senders=("dana-dev",))
    raw = samples.read("github", "issue_comment.created")
    assert read("issue_comment", raw, options=options) == []
    assert len(read("issue_comment", raw, options=GitHubOptions(ignore_senders=("x",)))) == 1


def test_a_redelivery_has_the_same_key():
    headers = [("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")]
    first, again = make_delivery(headers, b"{}"), make_delivery(headers, b"{}")
    assert INCOMING.delivery_key(first, OPTIONS) == INCOMING.delivery_key(again, OPTIONS)
    assert INCOMING.delivery_key(first, OPTIONS) == "72d3162e-cc78-11e3-81ab-4c9367dc0958"


def test_a_redelivery_is_the_same_fact_and_another_delivery_is_not():
    def fact(guid):
        headers = [("X-GitHub-Event", "push"), ("Content-Type", JSON)]
        headers += [("X-GitHub-Delivery", guid)] if guid else []
        (draft,) = INCOMING.normalise(make_delivery(headers, b"{}"), OPTIONS)
        return draft.fact

    assert fact("72d3162e-cc78") == fact("72d3162e-cc78") == "delivery:72d3162e-cc78"
    assert fact("72d3162e-cc79") != fact("72d3162e-cc78")
    assert fact(None) == "", "without an id there is nothing that would be the same elsewhere"


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_keeps_its_name_with_and_without_an_action(name):
    (plain,) = read(name, b"{}")
    (acted,) = read(name, b'{"action": "done"}')
    assert (plain.type, acted.type) == (name, f"{name}.done")


def test_the_configuration_of_the_guide_is_accepted(tmp_path):
    key = rsa_key()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "github-app.pem").write_bytes(pem)
    path = tmp_path / "hookwright.yaml"
    path.write_text(VENDOR.guide.configuration, encoding="utf-8")
    environment = {
        "GITHUB_WEBHOOK_SECRET": "a-webhook-secret",
        "GITHUB_TOKEN": "ghp_token",
        "GITHUB_APP_ID": "51234",
        "GITHUB_INSTALLATION_ID": "5001",
    }
    declared = read_configuration(path, environment)
    assert [row.config.name for row in declared.connections] == ["github", "github-app"]
    (tmp_path / "github-app.pem").write_bytes(pem[:700])
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(path, environment)
    assert "private_key" in str(caught.value)
    assert "PEM" in str(caught.value)
    assert pem[100:140].decode() not in str(caught.value)


def test_the_table_of_names_is_what_normalise_does():
    for theirs, ours in INCOMING.types.items():
        if theirs != "*":
            action = ".done" if ours.endswith(".<action>") else ""
            body = b'{"action": "done"}' if action else b"{}"
            (draft,) = read(theirs, body)
            assert draft.type == ours.replace(".<action>", action)
