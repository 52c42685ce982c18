"""What a person does at Checksum, and what surprises people there."""

from __future__ import annotations

from service.vendors.base import Guide

_CONFIGURATION = """\
connections:
  - name: checksum
    vendor: checksum
    credentials: {api_key: {env: CHECKSUM_API_KEY}}
    options: {repository: acme-co/my-tests}
polls:
  - {name: checksum-runs, connection: checksum, poll: runs, every: 30s}
  - {name: checksum-heals, connection: checksum, poll: heal_batches, every: 30s}
  - {name: checksum-bugs, connection: checksum, poll: bugs, every: 5m}
"""

GUIDE = Guide(
    pages=("https://checksum.ai/docs",),
    configuration=_CONFIGURATION,
    incoming=(
        (
            "Checksum documents no webhooks for customers: its notifications go to Slack, "
            "Microsoft Teams, Discord, Google Chat and e-mail only. Use the polls instead; they "
            "tell runs, heals and bugs."
        ),
        (
            "Should Checksum offer you a signed webhook, give it the address {url} and declare a "
            "source with vendor: checksum and the webhook's secret. The options scheme, "
            "signature_header, timestamp_header and events say how it signs and what its events "
            "are called."
        ),
    ),
    outgoing=(
        (
            "Take the API key of your project from Checksum's web app, and put it into "
            "CHECKSUM_API_KEY. One key belongs to one project."
        ),
        (
            "Set options.repository to the repository of the tests, as owner/repo: Checksum needs "
            "it to open pull requests."
        ),
        "Run `hookwright connection test checksum`: it names the project of the key.",
    ),
    notes=(
        (
            "Checksum has no list of runs, only the latest one. The poll `runs` watches each run "
            "it has seen, and those started from here, until they end; of two runs of somebody "
            "else that begin between two questions it sees the later."
        ),
        (
            "A heal is begun once for a run, ever, and not at all for a run that was started with "
            "auto_heal, which heals by itself."
        ),
        (
            "A heal that ends without a pull request is no failure: Checksum found a bug of the "
            "application instead. Events and outputs say bug_suspected then."
        ),
        (
            "A run that ended with process-error broke off in Checksum's own machinery: run it "
            "again, there is nothing to heal."
        ),
        (
            "Checksum shows runs as passed that have failures. Option strict of the poll `runs` "
            "counts those as failed, unless all failures are bugs."
        ),
        "When the key is refused although it is right, try options.key_header: ChecksumAppCode.",
    ),
)
