"""What a person does at Checkly, and the body that is pasted there."""

from __future__ import annotations

from service.vendors.base import Guide

TEMPLATE = """\
{"source":"checkly","schema":1,"event":"check.alert","alert_type":"{{ALERT_TYPE}}","alert_title":"{{{ALERT_TITLE}}}",
 "check_id":"{{CHECK_ID}}","check_name":"{{{CHECK_NAME}}}","check_type":"{{CHECK_TYPE}}","check_result_id":"{{CHECK_RESULT_ID}}",
 "group":"{{{GROUP_NAME}}}","location":"{{{RUN_LOCATION}}}","response_time_ms":"{{RESPONSE_TIME}}","result_link":"{{{RESULT_LINK}}}",
 "started_at":"{{STARTED_AT}}","tags":[{{#each TAGS}}"{{this}}"{{#unless @last}},{{/unless}}{{/each}}]}
"""  # noqa: E501  # pasted as it is: one member a line would be as long a page at the vendor

GUIDE = Guide(
    pages=(
        "https://www.checklyhq.com/docs/integrations/alerts/webhooks",
        "https://www.checklyhq.com/docs/alerting-and-retries/alert-states",
        "https://www.checklyhq.com/docs/api-reference/overview",
    ),
    incoming=(
        "In Checkly, open the alert settings and add an alert channel of the type Webhook.",
        "Set the method to POST and the URL to {url}.",
        "Paste the template below as the body, as it is.",
        (
            "Set a webhook secret, and put the same text into this source's secrets. Without a "
            "secret Checkly signs nothing and every delivery is refused."
        ),
        (
            "Switch on failures, recoveries, degradations and, if you want it, expiring "
            "certificates. The last two are off until you switch them on."
        ),
        "Subscribe your checks or groups to the channel.",
    ),
    outgoing=(
        "In Checkly, open the user settings and create an API key.",
        "Copy the account id from the account settings. Every call needs both.",
    ),
    notes=(
        (
            "Webhooks tell of monitors only. Test sessions, the runs of your CI, alert nobody: the "
            "poll test_sessions asks for them. Without that poll each of them is a gap when "
            "records are compared; reconcile: {records: {check_alerts: {}}} compares alerts only."
        ),
        (
            "Checkly tries a delivery again five times, 20 seconds apart. A failure and its "
            "recovery can overtake each other, so order events by their time and not by their "
            "arrival."
        ),
        (
            "A quotation mark or a line break in the name of a check makes the body invalid JSON. "
            "Such a delivery is kept and marked malformed; with reconcile, or the poll "
            "check_alerts, its alert is read back from Checkly's list of alerts."
        ),
        (
            "The template may have more members. These are read when they are there: "
            '"error":"{{{CHECK_ERROR_MESSAGE}}}", "ssl_days_remaining":"{{SSL_DAYS_REMAINING}}" '
            'and "ssl_check_domain":"{{{SSL_CHECK_DOMAIN}}}". Mind that an error message breaks '
            "the JSON more often than not."
        ),
        (
            "Checkly's timestamp is not signed. The option max_lateness_s refuses late deliveries; "
            "it does not prove that a delivery is no replay."
        ),
        (
            "When Checkly's list of alerts is asked without a beginning, it reaches back six hours "
            "only. Hookwright always names the beginning."
        ),
    ),
    template=TEMPLATE,
    configuration="""\
sources:
  - name: checkly
    vendor: checkly
    secrets: [{env: CHECKLY_WEBHOOK_SECRET}]
    connection: checkly
    reconcile: {every: 1h, since: 24h}
connections:
  - name: checkly
    vendor: checkly
    credentials:
      api_key: {env: CHECKLY_API_KEY}
      account_id: {env: CHECKLY_ACCOUNT_ID}
polls:
  - {name: checkly-sessions, connection: checkly, poll: test_sessions, every: 1m}
  - {name: checkly-alerts, connection: checkly, poll: check_alerts, every: 5m}
""",
)
