"""The record of GitHub's webhooks against its twin: compared, sent again, restored, polled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import ValidationError

from examples.twins.launch import TwinProcess
from schemas.events import EventDraft
from service.errors import Refused, VendorBroken
from service.vendors.base import Delivery, Headers, Record, Recorded, Window
from service.vendors.github import VENDOR
from service.vendors.github.hooks import HookClient, HookOptions, place_of
from service.vendors.github.options import GitHubOptions
from service.vendors.github.polling import HookPollOptions
from tests.integration.vendors import asking
from tests.integration.vendors.asking import Polling
from tests.integration.vendors.conftest import Caller, Start
from tests.integration.vendors.github_app import REPO, by_app, by_token, install
from tests.integration.vendors.inbox import Inbox, open_inbox

WHERE: dict[str, dict[str, Any]] = {
    "repository": {"repository": REPO, "hook_id": 1},
    "organization": {"organization": "acme-co", "hook_id": 2},
    "integration": {"app": True},
}
HOOK = WHERE["repository"]
LIST = f"/repos/{REPO}/hooks/1/deliveries"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox(VENDOR) as found:
        yield found


@pytest.fixture
def github(twin: Start, inbox: Inbox) -> TwinProcess:
    process = install(twin("github"))
    process.set(receiver=inbox.url)
    return process


def record() -> Record:
    (only,) = VENDOR.records
    return only


def window(hours: float = 1) -> Window:
    now = datetime.now(UTC)
    return Window(now - timedelta(hours=hours), now + timedelta(minutes=1))


def read_all(caller: Caller, options: Mapping[str, Any], of: Window) -> list[Recorded]:
    return asking.read_all(caller, record(), of, **options)


def happen(twin: TwinProcess, **facts: Any) -> dict[str, list[str]]:
    told: Any = twin.lever("happen", facts)
    return dict(told)


def caller_for(twin: TwinProcess, hook: str) -> Caller:
    return by_app(twin) if hook == "integration" else by_token(twin)


# --- the record -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", WHERE)
def test_of_what_was_withheld_nothing_is_missing_in_the_record(
    github: TwinProcess, inbox: Inbox, hook: str
) -> None:
    told = happen(github, count=250, withheld=13, hook=hook)
    entries = read_all(caller_for(github, hook), WHERE[hook], window())
    assert len(entries) == len({entry.reference for entry in entries}) == 250
    stored = set(inbox.keys())
    gaps = [entry for entry in entries if not stored & set(entry.delivery_keys)]
    assert {gap.reference for gap in gaps} == set(told["withheld"])
    assert {gap.vendor_type for gap in gaps} == {"issues.opened"}


def test_of_all_deliveries_5_percent_are_found_and_had_again(
    github: TwinProcess, inbox: Inbox
) -> None:
    """Half of them are sent again by GitHub, half are read from its record; none is doubled."""
    told = happen(github, count=240, withheld=12, fate="lost")
    caller = by_token(github)
    options = HookOptions.model_validate(HOOK)
    stored = set(inbox.keys())
    gaps = [e for e in read_all(caller, HOOK, window()) if not stored & set(e.delivery_keys)]
    assert {gap.reference for gap in gaps} == set(told["withheld"])
    restored: list[EventDraft] = []
    assert record().redeliver is not None
    assert record().restore is not None
    for number, gap in enumerate(gaps):
        if number % 2:
            record().redeliver(caller.context(), options, gap)
        else:
            restored += record().restore(caller.context(), options, gap)
    assert len(inbox.keys()) == len(set(inbox.keys())) == 234
    facts = [event.fact for event in restored]
    assert len(facts) == len(set(facts)) == 6
    assert len({*inbox.facts(), *facts}) == 240
    assert set(inbox.facts()).isdisjoint(facts)
    stored = set(inbox.keys()) | {fact.removeprefix("delivery:") for fact in facts}
    again = read_all(caller, HOOK, window())
    assert len(again) == 240, "what was sent again is no second entry"
    assert all(stored & set(entry.delivery_keys) for entry in again)


def test_a_restored_event_is_what_the_webhook_would_have_given(
    github: TwinProcess, inbox: Inbox
) -> None:
    happen(github, count=1, withheld=1)
    caller = by_token(github)
    options = HookOptions.model_validate(HOOK)
    (entry,) = read_all(caller, HOOK, window())
    assert record().restore is not None
    assert record().redeliver is not None
    restored = record().restore(caller.context(), options, entry)
    record().redeliver(caller.context(), options, entry)
    incoming = VENDOR.incoming
    assert incoming is not None
    (arrived,) = inbox.received
    assert restored == incoming.normalise(arrived, GitHubOptions())
    ignoring = options.model_copy(update={"ignore_senders": ("dana-dev",)})
    assert record().restore(caller.context(), ignoring, entry) == []


def test_only_what_lies_in_the_window_is_read(github: TwinProcess) -> None:
    old = happen(github, count=150, withheld=150, age_s=7200)["withheld"]
    new = happen(github, count=120, withheld=120, age_s=600)["withheld"]
    happen(github, count=130, withheld=130)
    now = datetime.now(UTC)
    caller = by_token(github)
    of = Window(now - timedelta(minutes=20), now - timedelta(minutes=5))
    assert {entry.reference for entry in read_all(caller, HOOK, of)} == set(new)
    pages = len(github.calls(path=LIST))
    assert pages == 3, "the reading ends where the window begins"
    of = Window(now - timedelta(hours=3), now - timedelta(hours=1))
    assert {entry.reference for entry in read_all(caller, HOOK, of)} == set(old)


def test_a_page_that_fails_is_read_again_and_nothing_is_lost(github: TwinProcess) -> None:
    happen(github, count=250, withheld=250)
    caller = by_token(github)
    options = HookOptions.model_validate(HOOK)
    of = window()
    first = record().read(caller.context(), options, of, None)
    github.fault("status", path=LIST, status=503)
    with pytest.raises(VendorBroken):
        record().read(caller.context(), options, of, first.next)
    github.clear_faults()
    happen(github, count=40)
    second = record().read(caller.context(), options, of, first.next)
    third = record().read(caller.context(), options, of, second.next)
    found = [entry.reference for page in (first, second, third) for entry in page.entries]
    assert len(found) == len(set(found)) == 250
    assert third.next is None


def test_after_three_days_it_is_too_late_to_send_again(github: TwinProcess) -> None:
    happen(github, count=1, withheld=1)
    caller = by_token(github)
    (entry,) = read_all(caller, HOOK, window())
    github.advance(3 * 24 * 3600 + 60)
    options = HookOptions.model_validate(HOOK)
    assert record().redeliver is not None
    with pytest.raises(Refused, match="too old") as caught:
        record().redeliver(caller.context(), options, entry)
    assert "three days" in (caught.value.hint or "")
    assert record().restore is not None
    assert len(record().restore(caller.context(), options, entry)) == 1


@pytest.mark.parametrize("payload", ["no JSON", None, []])
def test_a_delivery_that_says_nothing_is_refused_and_not_invented(
    github: TwinProcess, payload: object
) -> None:
    happen(github, count=1, withheld=1)
    caller = by_token(github)
    (entry,) = read_all(caller, HOOK, window())
    row = {"id": 1, "guid": entry.reference, "delivered_at": "2026-11-01T00:00:00Z"}
    body = {**row, "event": "push", "request": {"headers": {}, "payload": payload}}
    github.fault("status", path=f"{LIST}/*", status=200, body=body, times=1)
    assert record().restore is not None
    with pytest.raises(Refused, match="cannot be read"):
        record().restore(caller.context(), HookOptions.model_validate(HOOK), entry)


# --- which webhook it is --------------------------------------------------------------------------


@pytest.mark.parametrize("hook", WHERE)
def test_the_deliveries_tell_which_webhook_they_came_from(
    github: TwinProcess, inbox: Inbox, hook: str
) -> None:
    happen(github, count=3, hook=hook)
    assert record().learn is not None
    learned = record().learn(inbox.received)
    assert learned == WHERE[hook]
    assert len(read_all(caller_for(github, hook), learned, window())) == 3


def test_nothing_is_learned_from_several_webhooks_or_from_none(
    github: TwinProcess, inbox: Inbox
) -> None:
    assert record().learn is not None
    assert record().learn([]) == {}
    happen(github, count=1)
    happen(github, count=1, hook="organization")
    assert record().learn(inbox.received) == {}
    bare = Delivery("s", Headers([("x-github-event", "push")]), b"{}", datetime.now(UTC))
    assert record().learn([bare]) == {}
    (repository, _) = inbox.received
    broken = Delivery("s", repository.headers, b"{", datetime.now(UTC))
    assert record().learn([broken]) == {}
    assert record().learn([broken, repository]) == HOOK


def test_a_form_tells_it_too(github: TwinProcess, inbox: Inbox) -> None:
    happen(github, count=1)
    (one,) = inbox.received
    headers = [pair for pair in one.headers.items if pair[0] != "content-type"]
    form = "application/x-www-form-urlencoded"
    body = urlencode({"payload": one.body.decode()}).encode()
    as_form = Delivery("s", Headers([*headers, ("content-type", form)]), body, one.received_at)
    assert record().learn is not None
    assert record().learn([as_form]) == HOOK


@pytest.mark.parametrize(
    "options", [{}, {"hook_id": 1}, {"repository": REPO}, {"organization": "acme-co"}]
)
def test_a_webhook_that_is_not_named_is_asked_for_in_words(options: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        place_of(HookOptions.model_validate(options))
    assert "hook_id" in (caught.value.hint or "")


def test_options_are_checked() -> None:
    for wrong in ({"repository": "x"}, {"hook_id": 0}, {"organization": "a/b"}, {"hook": 1}):
        with pytest.raises(ValidationError):
            HookOptions.model_validate(wrong)


def test_only_the_app_reads_its_own_webhook(github: TwinProcess) -> None:
    with pytest.raises(Refused, match="only the GitHub App itself"):
        read_all(by_token(github), {"app": True}, window())
    assert github.calls() == []


def test_a_webhook_that_is_not_there_is_told_with_the_permission(github: TwinProcess) -> None:
    with pytest.raises(Refused) as caught:
        read_all(by_token(github), HOOK | {"hook_id": 9}, window())
    assert "Webhooks" in (caught.value.hint or "")


def test_all_deliveries_are_listed_over_more_than_1000_rows(github: TwinProcess) -> None:
    told = happen(github, count=1050, withheld=1050)
    client = HookClient(by_token(github).context())
    rows = list(client.deliveries(place_of(HookOptions.model_validate(HOOK))))
    assert [row.guid for row in rows] == list(reversed(told["withheld"]))
    assert len(github.calls(path=LIST)) == 11


# --- the poll -------------------------------------------------------------------------------------


AHEAD = timedelta(seconds=2)
"""GitHub tells whole seconds: what happened a moment ago lies before a time to come."""


def polling_of(caller: Caller, ahead: timedelta = AHEAD, **options: Any) -> Polling:
    polling = Polling(caller, "hook_deliveries", **{**HOOK, "settle_s": 0, **options})
    polling.ahead = ahead
    return polling


def facts_of(guids: list[str]) -> set[str]:
    return {f"delivery:{guid}" for guid in guids}


@pytest.mark.parametrize("fate", ["failed", "silent"])
def test_what_failed_is_told_once_as_its_event(
    github: TwinProcess, inbox: Inbox, fate: str
) -> None:
    polling = polling_of(by_token(github))
    polling.ahead = -timedelta(seconds=30)
    assert polling.drain() == []
    told = happen(github, count=300, withheld=45, fate=fate)
    polling.ahead = AHEAD
    found = polling.drain()
    assert len(found) == 45
    assert set(found) == facts_of(told["withheld"])
    assert set(inbox.facts()).isdisjoint(found)
    event = polling.told[0]
    assert (event.type, event.facts["repository"]) == ("issues.opened", REPO)
    assert polling.drain() == []


def test_what_the_record_calls_delivered_is_left_alone(github: TwinProcess) -> None:
    polling = polling_of(by_token(github))
    happen(github, count=5, withheld=2, fate="lost")
    assert polling.drain() == []


def test_what_was_sent_again_with_success_is_left_alone(github: TwinProcess, inbox: Inbox) -> None:
    """The successful redelivery may stand on an earlier page than what it repeats."""
    caller = by_token(github)
    told = happen(github, count=3, withheld=3)
    client, place = HookClient(caller.context()), place_of(HookOptions.model_validate(HOOK))
    rows = {row.guid: row.id for row in client.deliveries(place)}
    again, refused, never = told["withheld"]
    client.redeliver(place, rows[again])
    inbox.answers = [500]
    client.redeliver(place, rows[refused])
    happen(github, count=120)
    assert set(polling_of(caller).drain()) == facts_of([refused, never])


@pytest.mark.parametrize("status", [500, 404])
def test_a_call_that_fails_in_the_middle_loses_and_repeats_nothing(
    github: TwinProcess, status: int
) -> None:
    told = happen(github, count=60, withheld=60)
    polling = polling_of(by_token(github))
    polling.ask()
    if status == 500:
        github.fault("status", path=f"{LIST}/*", status=500, skip=5, times=3)
        with pytest.raises(VendorBroken):
            polling.ask()
        polling.drain()
        assert len(polling.told) == 60
    else:
        github.fault("status", path=f"{LIST}/*", status=404, times=1)
        polling.drain()
        assert len(polling.told) == 59, "what GitHub has no more is passed over"
    facts = [event.fact for event in polling.told]
    assert len(facts) == len(set(facts))
    assert set(facts) <= facts_of(told["withheld"])


def test_one_asking_makes_few_calls_and_says_that_there_is_more(github: TwinProcess) -> None:
    happen(github, count=230, withheld=115)
    polling = polling_of(by_token(github))
    answer = polling.ask()
    assert answer.more
    assert len(github.calls(path=f"{LIST}*")) <= 21
    polling.drain()
    assert len(polling.told) == 115
    assert len(github.calls(path=LIST)) == 3


def test_what_comes_while_a_stretch_is_read_is_in_the_next(github: TwinProcess) -> None:
    first = happen(github, count=150, withheld=150, age_s=60)["withheld"]
    polling = polling_of(by_token(github))
    polling.ahead = -timedelta(seconds=30)
    polling.ask()
    second = happen(github, count=30, withheld=30)["withheld"]
    polling.ahead = AHEAD
    polling.drain()
    polling.drain()
    facts = [event.fact for event in polling.told]
    assert len(facts) == len(set(facts)) == 180
    assert set(facts) == facts_of([*first, *second])


def test_a_delivery_is_judged_when_its_row_is_there_for_certain(github: TwinProcess) -> None:
    """GitHub waits for an answer: a slow failure may be entered after a later success."""
    polling = polling_of(by_token(github), settle_s=90)
    happen(github, count=1, withheld=1, age_s=30)
    assert polling.drain() == []
    late = happen(github, count=1, withheld=1, age_s=31)["withheld"]
    polling.options["settle_s"] = 0
    assert facts_of(late) <= set(polling.drain())
    assert len(polling.told) == 2


def test_the_first_reading_goes_back_as_far_as_it_is_told(github: TwinProcess) -> None:
    happen(github, count=2, withheld=2, age_s=7200)
    recent = happen(github, count=2, withheld=2, age_s=600)["withheld"]
    assert set(polling_of(by_token(github)).drain()) == facts_of(recent)
    assert len(polling_of(by_token(github), first_hours=3).drain()) == 4


def test_a_poll_may_begin_now(github: TwinProcess) -> None:
    polling = polling_of(by_token(github), first_hours=0)
    polling.ahead = -timedelta(seconds=30)
    happen(github, count=1, withheld=1, age_s=60)
    assert polling.drain() == []
    later = happen(github, count=1, withheld=1)["withheld"]
    polling.ahead = AHEAD
    assert set(polling.drain()) == facts_of(later)


def test_the_clock_of_a_poll_may_stand_still(github: TwinProcess) -> None:
    polling = polling_of(by_token(github))
    polling.drain()
    caller = polling.caller
    caller.now -= timedelta(minutes=5)
    answer = caller.ask("hook_deliveries", polling.position, **polling.options)
    assert (list(answer.events), answer.position) == ([], polling.position)


def test_the_poll_of_an_app_asks_as_the_app(github: TwinProcess) -> None:
    polling = polling_of(by_app(github), repository=None, hook_id=None, app=True)
    told = happen(github, count=4, withheld=2, hook="integration")
    assert set(polling.drain()) == facts_of(told["withheld"])
    assert github.calls(path="/app/installations/*") == [], "no token of an installation is needed"


def test_senders_that_are_ignored_are_ignored_here_too(github: TwinProcess) -> None:
    happen(github, count=2, withheld=2)
    assert polling_of(by_token(github), ignore_senders=["dana-dev"]).drain() == []


def test_the_options_of_the_poll_are_checked() -> None:
    with pytest.raises(ValidationError):
        HookPollOptions.model_validate(HOOK | {"first_hours": 100})
