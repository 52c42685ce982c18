"""The common senders at a running door: taken, answered as each wants it, no token kept."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx
import pytest

from schemas.clock import utc_now
from service.signatures import preset
from service.vendors import BY_NAME, samples
from service.vendors.base import Secret, Signed
from tests.integration.door.receiver import Receiver, add_source
from tests.vendors.key_pairs import Pair, pair_for

WHSEC = "whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWo="


class Sender(NamedTuple):
    """A vendor under some options, with the name of the scheme that decides on its keys."""

    vendor: str
    scheme: str
    options: dict[str, Any]

    @property
    def source(self) -> str:
        return f"{self.vendor}-{self.scheme}"

    @property
    def keys(self) -> Pair:
        return pair_for(preset(self.scheme), WHSEC)

    def sign(self, name: str, delivery_id: str = "d-1") -> Signed:
        incoming = BY_NAME[self.vendor].incoming
        assert incoming is not None
        return incoming.sign(
            samples.read(self.vendor, name),
            self.keys.private,
            utc_now(),
            incoming.options.model_validate(self.options),
            event=samples.event_of(name),
            delivery_id=delivery_id,
        )


SENDERS = (
    *(Sender(name, name, {}) for name in ("svix", "stripe", "sentry", "pagerduty", "vercel")),
    *(Sender(name, name, {}) for name in ("linear", "shopify", "zendesk", "circleci", "buildkite")),
    *(Sender(name, name, {}) for name in ("discord", "sendgrid")),
    Sender("standardwebhooks", "standard-webhooks", {}),
    Sender("gitlab", "gitlab-token", {}),
    Sender("gitlab", "gitlab", {"scheme": "gitlab"}),
    Sender("datadog", "header-token", {}),
    Sender("datadog", "basic-auth", {"scheme": "basic-auth"}),
    Sender("buildkite", "buildkite-token", {"scheme": "buildkite-token"}),
    Sender("cloudevents", "bearer-token", {}),
    Sender("cloudevents", "sendgrid", {"scheme": "sendgrid"}),
)


@pytest.fixture
def door(receiver: Receiver) -> Receiver:
    with receiver.database.session() as session:
        for sender in SENDERS:
            secrets = [Secret(sender.keys.public)]
            add_source(
                session, sender.source, sender.vendor, secrets=secrets, options=sender.options
            )
    return receiver


def post(door: Receiver, sender: Sender, signed: Signed) -> httpx.Response:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in signed.headers]
    return door.post(f"/hooks/{sender.source}", body=signed.body, headers=headers)


def test_every_sender_is_taken_once_and_refused_with_another_body(door: Receiver) -> None:
    for sender in SENDERS:
        name = samples.names(sender.vendor)[-1]
        signed = sender.sign(name)
        first = post(door, sender, signed)
        assert first.is_success, (sender, first.text)
        again = post(door, sender, signed)
        assert again.is_success
        rows = [row for row in door.rows() if row.source == sender.source]
        assert [row.body for row in rows] == [signed.body], sender
        if preset(sender.scheme).algorithm == "token-equality":
            other = Signed(tuple((name, value + "x") for name, value in signed.headers), b"{}")
        else:
            other = Signed(signed.headers, signed.body + b" ")
        assert post(door, sender, other).status_code == 401, sender


def test_no_token_is_kept(door: Receiver) -> None:
    for sender in SENDERS:
        post(door, sender, sender.sign(samples.names(sender.vendor)[-1]))
    for row in door.rows():
        values = [value for _, value in row.headers]
        assert not any(WHSEC in value for value in values), row.source
        if row.source in {"datadog-basic-auth", "cloudevents-bearer-token"}:
            assert dict(row.headers)["authorization"] == "[redacted]"


def test_discord_is_answered_as_it_wants(door: Receiver) -> None:
    sender = next(sender for sender in SENDERS if sender.vendor == "discord")
    answers = {
        name: post(door, sender, sender.sign(name))
        for name in ("0+ping", "1+ping", "APPLICATION_AUTHORIZED")
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "0+ping": 204,
        "1+ping": 200,
        "APPLICATION_AUTHORIZED": 204,
    }
    assert answers["1+ping"].json() == {"type": 1}
    assert len(door.rows()) == 1


def test_linear_and_shopify_are_answered_with_200(door: Receiver) -> None:
    for sender in SENDERS:
        if sender.vendor in {"linear", "shopify"}:
            answer = post(door, sender, sender.sign(samples.names(sender.vendor)[0]))
            assert answer.status_code == 200
            assert answer.json()["status"] == "accepted"
