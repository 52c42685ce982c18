"""What a person does at CheckView, and what surprises people there."""

from __future__ import annotations

from service.vendors.base import Guide

_CONFIGURATION = """\
sources:
  - name: checkview
    vendor: checkview
    path_token: {env: CHECKVIEW_PATH_TOKEN}
    connection: checkview
    reconcile: {every: 1h}
connections:
  - name: checkview
    vendor: checkview
    credentials: {api_token: {env: CHECKVIEW_API_TOKEN}}
    options: {per_minute: 60}
polls:
  - {name: checkview-runs, connection: checkview, poll: test_runs, every: 1m}
"""

GUIDE = Guide(
    pages=(
        "https://checkview.io/docs/rest-api-getting-started",
        "https://checkview.io/docs/test-flow-notifications",
    ),
    configuration=_CONFIGURATION,
    incoming=(
        (
            "Make a long random path token, for example with: openssl rand -hex 32. Put it into "
            "the variable CHECKVIEW_PATH_TOKEN."
        ),
        (
            "In CheckView, open the notification settings: those of the organisation for all test "
            "flows, or those of one flow, which then go before the organisation's."
        ),
        (
            "Switch the channel Webhook on, and enter {url} with a slash and the path token at its "
            "end. Whoever knows this address can send to it, so keep it as a secret."
        ),
        (
            "Leave the frequency at every pass and fail, so that nothing is left out. The other "
            "choices are once on failing and once on passing again, and every fail and then once "
            "on passing."
        ),
        (
            "If the form lets you add a header, add one with a secret of its own. Name it in the "
            "source's options.header and put the secret into the source's secrets."
        ),
    ),
    outgoing=(
        (
            "Make an access token in CheckView's dashboard (it begins with cvpat_) and put it into "
            "the variable CHECKVIEW_API_TOKEN. Such a token has all rights of its user."
        ),
        (
            "A restricted token can be made by the API only. Reading needs the scope "
            "read:organization; starting test runs and audits needs write:organization."
        ),
        (
            "Without a paid plan the organisation has 10 calls a minute instead of 60: set "
            "options.per_minute of the connection to 10."
        ),
    ),
    notes=(
        (
            "CheckView signs nothing. The path token is what a delivery is known by, and its body "
            "is taken as a hint only: with a connection on the source, every run is read back from "
            "the API and the event tells what is true there."
        ),
        (
            "The body of the webhook, the statuses and most paths of the API are not published. "
            "Hookwright assumes them, and every assumption is an option: of the source for the "
            "body, of the connection for the paths and the rest."
        ),
        (
            "A webhook that cannot be delivered is not known to be sent again. The poll test_runs "
            "and the comparison with CheckView's list of runs find what is missing."
        ),
        (
            "With another frequency than every pass and fail, the comparison counts passes that "
            "were never sent as missing. Set its option ends to failed and error then."
        ),
        (
            "The limit is the organisation's, not the token's. Hookwright stops when five calls "
            "are left and waits for the window to begin anew, so that people keep some."
        ),
        (
            "CheckView knows an idempotency key for 60 minutes. A run whose start was not answered "
            "is started again within them and is still one run. Later Hookwright looks at the list "
            "of runs, and where it cannot tell, the step is in doubt and a person decides."
        ),
    ),
)
