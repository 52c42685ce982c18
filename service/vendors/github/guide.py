"""What a person does at GitHub, and what stands in hookwright.yaml then."""

from __future__ import annotations

from service.vendors.base import Guide

GUIDE = Guide(
    pages=(
        "https://docs.github.com/en/webhooks",
        "https://docs.github.com/en/rest",
        "https://docs.github.com/en/apps/creating-github-apps",
    ),
    incoming=(
        (
            "Open the repository or the organisation at GitHub: Settings, Webhooks, Add "
            "webhook. For a GitHub App: Settings, Developer settings, GitHub Apps, your App, "
            "Webhook."
        ),
        "Payload URL: {url}. Content type: application/json (a form is understood too).",
        (
            "Secret: a long random text of your own, such as `openssl rand -hex 32` makes; put "
            "the same text into the variable GITHUB_WEBHOOK_SECRET."
        ),
        (
            "Choose the events that your workflows wait for, such as pull requests, workflow "
            "runs, check runs and issue comments; or send everything."
        ),
        "Save. GitHub sends a `ping` at once; it is among the deliveries of the source.",
    ),
    outgoing=(
        (
            "Either make a fine-grained personal access token (Settings, Developer settings, "
            "Personal access tokens) of an account for automation, for the repositories it "
            "works on, with the permissions Issues and Pull requests (write) for comments and "
            "issues, Commit statuses (write), Contents (write) for dispatches, and Webhooks "
            "(write) to have lost deliveries sent again. Put it into `credentials: {token: …}`."
        ),
        (
            "Or make a GitHub App (Settings, Developer settings, GitHub Apps, New GitHub App) "
            "with the same permissions and Checks (write): only Apps write check runs. Note its "
            "App ID."
        ),
        (
            "On the App's page choose Generate a private key. Keep the .pem file and name it by "
            "`private_key: {file: PATH}`; an environment variable may hold it with its line "
            "breaks written as `\\n`."
        ),
        (
            "Install the App on the account. The number at the end of the address of the page "
            "Settings, Applications, Configure is the `installation_id`."
        ),
        (
            "For lost deliveries give `hook_id`, the number at the end of the address of the "
            "webhook's settings page, or `app: true` for the webhook of the App. A source that "
            "has received something tells it by itself."
        ),
    ),
    notes=(
        (
            "GitHub never sends a delivery again by itself. It keeps each for three days, and "
            "for as long sends it again when asked: `hookwright reconcile` asks, and the poll "
            "`hook_deliveries` tells what failed from the record, without another delivery."
        ),
        (
            "A delivery that is sent again has the same id, so it is recognised and gives no "
            "second event."
        ),
        (
            "Put the login of the token's owner, or `<app>[bot]`, into `ignore_senders`; "
            "otherwise your own comments come back as events."
        ),
        "GitHub answers 404 both for what is not there and for what the token may not see.",
        (
            "Webhooks of an App are read by the App alone: the record of an App's webhook needs "
            "`app_id`, `private_key` and `installation_id`, not a token."
        ),
        "Tokens of an installation last an hour and are renewed by themselves.",
        ("The version of the API is pinned to 2022-11-28; `options: {api_version: …}` changes it."),
        "GitHub Enterprise Server: set `base_url` to https://github.example.com/api/v3.",
    ),
    configuration="""\
sources:
  - name: github
    vendor: github
    secrets: [{env: GITHUB_WEBHOOK_SECRET}]
    connection: github
    options: {ignore_senders: [acme-qa-bot]}
    reconcile: {every: 1h, since: 24h}
connections:
  - name: github
    vendor: github
    credentials: {token: {env: GITHUB_TOKEN}}
  - name: github-app
    vendor: github
    credentials:
      app_id: {env: GITHUB_APP_ID}
      private_key: {file: github-app.pem}
      installation_id: {env: GITHUB_INSTALLATION_ID}
polls:
  - name: github-failed-deliveries
    connection: github
    poll: hook_deliveries
    every: 5m
    options: {repository: acme-co/webapp, hook_id: 12345678}
""",
)
