"""What VibeView has on record, compared with what came: nothing missing, nothing twice."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from examples.twins.launch import TwinProcess
from service.errors import Refused, VendorBroken
from service.vendors.base import Delivery, Headers, Recorded, RecordPage, Window
from service.vendors.vibeview import VENDOR
from service.vendors.vibeview.events import delivery_key, normalise
from service.vendors.vibeview.options import VibeViewOptions
from service.vendors.vibeview.record import DeliveriesOptions, identities, read_excerpt
from tests.integration.vendors import asking
from tests.integration.vendors.conftest import Caller, Start
from tests.integration.vendors.inbox import Inbox, open_inbox

KEY = "tok_vibeview_twin_key"
SOURCE = VibeViewOptions()
(RECORD,) = VENDOR.records
ALWAYS = Window(datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox(VENDOR) as found:
        yield found


@pytest.fixture
def vibeview(twin: Start, inbox: Inbox) -> TwinProcess:
    process = twin("vibeview")
    process.set(
        key=KEY,
        pace=0,
        role="admin",
        receiver=inbox.url,
        redeliver_keeps_id=False,
        lists_webhooks=True,
        deliveries_form="total",
        pages_deliveries=True,
    )
    process.limit("api", limit=None)
    return process


@pytest.fixture
def caller(vibeview: TwinProcess) -> Caller:
    return Caller(VENDOR, vibeview.url, {"api_token": KEY}, {"per_minute": 60_000})


def read_all(caller: Caller, window: Window = ALWAYS, **options: Any) -> list[Recorded]:
    return asking.read_all(caller, RECORD, window, **options)


def read_page(caller: Caller, window: Window, position: Any, **options: Any) -> RecordPage:
    return asking.read_page(caller, RECORD, window, position, **options)


def gaps(entries: Sequence[Recorded], inbox: Inbox) -> list[Recorded]:
    known: set[str] = set()
    for key, delivery in inbox.stored.items():
        known |= {key, *identities(delivery, SOURCE)}
    return [entry for entry in entries if known.isdisjoint(entry.delivery_keys)]


def redeliver(caller: Caller, entries: Collection[Recorded]) -> None:
    assert RECORD.redeliver is not None
    for entry in entries:
        RECORD.redeliver(caller.context(), DeliveriesOptions(), entry)


def restore(caller: Caller, entry: Recorded, **options: Any) -> list[Any]:
    assert RECORD.restore is not None
    return RECORD.restore(caller.context(), DeliveriesOptions(**options), entry)


@pytest.mark.parametrize(("form", "pages"), [("total", True), ("array", True), ("object", False)])
def test_of_all_deliveries_a_twentieth_is_withheld_and_comes_by_redelivery(
    vibeview: TwinProcess, caller: Caller, inbox: Inbox, form: str, *, pages: bool
) -> None:
    vibeview.set(deliveries_form=form, pages_deliveries=pages)
    events = ["run.passed", "run.failed", "visual.run_completed_with_regressions"]
    told: Any = vibeview.lever("happen", {"count": 60, "withheld": 3, "events": events})
    assert len(inbox.stored) == 57
    missing = gaps(read_all(caller, page_size=20), inbox)
    withheld = {one["event_id"] for one in told if one["withheld"]}
    assert {entry.reference for entry in missing} == withheld
    assert len(missing) == 3
    redeliver(caller, missing)
    assert set(inbox.stored) == {one["event_id"] for one in told}
    assert gaps(read_all(caller, page_size=20), inbox) == []
    facts = inbox.facts()
    assert len(facts) == len(set(facts))


def test_a_withheld_event_can_be_restored_from_its_run(
    vibeview: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    events = ["run.passed", "run.failed", "visual.run_completed_with_regressions"]
    vibeview.lever("happen", {"count": 6, "withheld": 6, "events": events})
    entries = read_all(caller)
    restored = {entry.reference: restore(caller, entry) for entry in entries}
    assert inbox.stored == {}
    redeliver(caller, entries)
    assert len(inbox.stored) == 6
    for delivery in inbox.stored.values():
        delivered = normalise(delivery, SOURCE)
        ours = restored[delivery_key(delivery, SOURCE)]
        assert [one.fact for one in ours] == [one.fact for one in delivered]
        assert [(one.type, one.vendor_type) for one in ours] == [
            (one.type, one.vendor_type) for one in delivered
        ]
        for mine, theirs in zip(ours, delivered, strict=True):
            for name in ("run_id", "status", "counts", "failed_tests", "visual", "suite"):
                assert mine.facts[name] == theirs.facts[name], name
            assert mine.time == theirs.time


def entry(excerpt: Any, vendor_type: str = "run.failed", **detail: Any) -> Recorded:
    sent = read_excerpt(excerpt)
    known = {"webhook_id": "1", "delivery_id": "d-1", "event_id": sent.get("id"), "sent": sent}
    data = sent.get("data")
    run_id = data.get("run_id") if isinstance(data, dict) else sent.get("run_id")
    return Recorded(
        reference="d-1",
        time=datetime(2026, 10, 1, tzinfo=UTC),
        vendor_type=vendor_type,
        detail={**known, "run_id": run_id, "whole": False, **detail},
    )


def test_what_was_sent_goes_before_what_the_run_is_by_now(
    vibeview: TwinProcess, caller: Caller
) -> None:
    vibeview.lever("outcomes", {"runs": [{"status": "failed", "visual_regression_status": "warn"}]})
    run_id = caller.outputs("vibeview.run_suite", suite_id="suite_abc123").run_id
    cut = f'{{"id":"evt_9","data":{{"run_id":"{run_id}","suite_name":"As it was","passed":1'
    started, *rest = restore(caller, entry(cut, "run.started"))
    assert (started.type, started.facts["status"], rest) == ("test_run.started", "running", [])
    assert started.facts["visual"] is None
    assert started.facts["suite"] == {"id": "suite_abc123", "name": "As it was"}
    failed, warned = restore(caller, entry(cut))
    assert (failed.type, warned.type) == ("test_run.failed", "visual_regression.warned")
    assert (failed.fact, warned.fact) == ("event:evt_9", "event:evt_9:visual_regression")
    assert len(failed.facts["failed_tests"]) == 1


def test_a_run_that_is_gone_is_restored_from_the_excerpt(caller: Caller) -> None:
    cut = '{"event":"run.failed","data":{"run_id":"sr_gone","metadata":{"repo":"a/b","branch":"m'
    (event,) = restore(caller, entry(cut))
    assert (event.subject, event.facts["repository"], event.facts["branch"]) == (
        "sr_gone",
        "a/b",
        None,
    )
    assert event.fact == "delivery:d-1"
    assert event.time == datetime(2026, 10, 1, tzinfo=UTC)


def test_an_excerpt_that_is_whole_needs_no_call(vibeview: TwinProcess, caller: Caller) -> None:
    body = {"id": "evt_1", "event": "billing.credits_low", "data": {"prepaid_micro": 5}}
    (event,) = restore(caller, entry(body, "billing.credits_low", whole=True))
    assert (event.type, event.facts["prepaid_micro"]) == ("credits.low", 5)
    assert vibeview.calls() == []


def test_a_source_with_bodies_of_another_form_is_restored_likewise(
    vibeview: TwinProcess, caller: Caller
) -> None:
    run_id = caller.outputs("vibeview.run_suite", suite_id="suite_abc123").run_id
    flat = entry(f'{{"run_id":"{run_id}","suite_name":"Flat"', "run.passed")
    (event,) = restore(caller, flat)
    assert (event.type, event.facts["suite"]["name"]) == ("test_run.passed", "Flat")
    inner = entry(f'{{"body":{{"run_id":"{run_id}","suite_name":"In', "run.passed", run_id=run_id)
    (event,) = restore(caller, inner, body={"data_path": "body", "event_paths": ()})
    assert event.facts["suite"]["name"] == "Login Flow"


def test_what_cannot_be_known_is_refused(vibeview: TwinProcess, caller: Caller) -> None:
    with pytest.raises(Refused, match="neither holds what was sent nor names a run"):
        restore(caller, entry("<html>", run_id=None))
    with pytest.raises(Refused, match="names no id"):
        redeliver(caller, [entry('{"data":{')])
    assert vibeview.calls() == []


# --- reading --------------------------------------------------------------------------------------


def test_the_window_bounds_what_is_read(
    vibeview: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    vibeview.lever("happen", {"count": 60})
    now = datetime.now(UTC)
    later = Window(now + timedelta(seconds=5), now + timedelta(days=1))
    assert read_all(caller, later, page_size=20) == []
    assert len(vibeview.calls(path="*/deliveries")) == 1, "older pages are not read"
    assert read_all(caller, Window(ALWAYS.since, now - timedelta(hours=1))) == []
    hour = timedelta(hours=1)
    assert len(read_all(caller, Window(now - hour, now + hour), page_size=20)) == 60


@pytest.mark.parametrize("form", ["total", "object"])
@pytest.mark.parametrize("withheld", [60, 10])
def test_redelivering_while_the_list_is_read_hides_nothing(
    vibeview: TwinProcess, caller: Caller, inbox: Inbox, form: str, withheld: int
) -> None:
    vibeview.set(deliveries_form=form)
    told: Any = vibeview.lever("happen", {"count": 60, "withheld": withheld})
    references: list[str] = []
    asked: set[str] = set()
    window = Window(ALWAYS.since, datetime.now(UTC) + timedelta(seconds=1))
    page = read_page(caller, window, None, page_size=24)
    while True:
        references += [entry.reference for entry in page.entries]
        missing = [one for one in gaps(page.entries, inbox) if one.reference not in asked]
        redeliver(caller, missing)
        asked |= {entry.reference for entry in missing}
        if page.next is None:
            break
        page = read_page(caller, window, page.next, page_size=24)
    assert set(references) == set(inbox.stored) == {one["event_id"] for one in told}
    assert len(asked) == withheld
    assert len(references) == 60, "an entry that was pushed along is given once"


def test_an_attempt_that_was_redelivered_is_one_entry(
    vibeview: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    vibeview.lever("happen", {"count": 1, "withheld": 1})
    (first,) = read_all(caller)
    redeliver(caller, [first])
    (again,) = read_all(caller)
    assert again.reference == first.reference
    assert gaps([again], inbox) == []


def test_a_page_that_fails_is_read_again_from_the_same_position(
    vibeview: TwinProcess, caller: Caller, inbox: Inbox
) -> None:
    vibeview.lever("happen", {"count": 30, "withheld": 30})
    first = read_page(caller, ALWAYS, None, page_size=10)
    vibeview.fault("status", path="*/deliveries", status=500, times=3)
    with pytest.raises(VendorBroken):
        read_page(caller, ALWAYS, first.next, page_size=10)
    second = read_page(caller, ALWAYS, first.next, page_size=10)
    third = read_page(caller, ALWAYS, second.next, page_size=10)
    pages = (first, second, third)
    assert len({one.reference for page in pages for one in page.entries}) == 30
    assert third.next is None


def test_without_a_list_of_webhooks_the_option_is_asked_for(
    vibeview: TwinProcess, caller: Caller
) -> None:
    vibeview.set(lists_webhooks=False)
    with pytest.raises(Refused, match="does not tell which webhooks") as caught:
        read_all(caller)
    assert "webhook_id under reconcile" in (caught.value.hint or "")
    assert read_all(caller, webhook_id="1") == read_all(caller, webhook_id=1) == []
    with pytest.raises(Refused, match="Webhook not found"):
        read_all(caller, webhook_id="2")


@pytest.mark.parametrize("hooks", [[], [{"id": 1, "url": "https://a"}, {"id": 2, "url": "b"}]])
def test_of_several_webhooks_one_has_to_be_named(
    vibeview: TwinProcess, caller: Caller, hooks: list[object]
) -> None:
    vibeview.fault("status", path="*/webhooks", status=200, body=hooks)
    with pytest.raises(Refused, match="no single webhook") as caught:
        read_all(caller)
    assert "webhook_id under reconcile" in (caught.value.hint or "")


ROWS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"id": "d-1", "payload_excerpt": '{"id": "evt_1", "da'}, ("evt_1", "d-1")),
    ({"id": 7, "event_id": "evt_1"}, ("evt_1", "7")),
    ({"delivery_id": "d-1", "payload": {"event_id": "evt_1"}}, ("evt_1", "d-1")),
    ({"id": "d-1", "payload_excerpt": "no JSON"}, ("d-1",)),
    ({"id": "d-1"}, ("d-1",)),
]


@pytest.mark.parametrize(("row", "keys"), ROWS)
@pytest.mark.parametrize("shape", [list, lambda rows: {"items": rows}])
def test_rows_of_any_form(
    vibeview: TwinProcess, caller: Caller, row: dict[str, Any], keys: tuple[str, ...], shape: Any
) -> None:
    rows = [{"event": "run.failed", "created_at": "2026-10-01T12:00:00", **row}]
    vibeview.fault("status", path="*/deliveries", status=200, body=shape(rows))
    (found,) = read_all(caller, webhook_id="1")
    assert found.delivery_keys == keys
    assert (found.reference, found.vendor_type) == (keys[0], "run.failed")


def test_rows_without_a_time_or_an_id_lose_nothing(vibeview: TwinProcess, caller: Caller) -> None:
    rows = [{"id": "d-1"}, {"status": "failed"}, {"id": "d-2", "created_at": "soon"}]
    vibeview.fault("status", path="*/deliveries", status=200, body=rows)
    assert [one.reference for one in read_all(caller, webhook_id="1")] == ["d-1", "d-2"]


@pytest.mark.parametrize(
    ("excerpt", "read_as"),
    [
        ('{"id": "evt_1", "data": {"passed": 12', {"id": "evt_1", "data": {}}),
        ('{"id": "evt_1", "data": {"run_id": "sr9d', {"id": "evt_1", "data": {}}),
        ('{"id": "evt_1", "created_at": "2026-04-28T12:0...', {"id": "evt_1"}),
        ('{"id": "evt_1", "n": 1…', {"id": "evt_1"}),
        ('{"a": "x\\u00', {}),
        ('{"id": "evt_1"}', {"id": "evt_1"}),
        ({"id": "evt_1"}, {"id": "evt_1"}),
        ("[1, 2", {}),
        ("", {}),
        (None, {}),
        ("{" * 5000, {}),
    ],
)
def test_what_can_be_read_of_a_cut_body(excerpt: object, read_as: dict[str, Any]) -> None:
    assert read_excerpt(excerpt) == read_as


def test_a_cut_body_with_a_long_row_of_full_stops_is_read_at_once() -> None:
    """Names of tests hold what people like; a page must not stand still for it."""
    excerpt = f'{{"id": "evt_1", "name": "Loading{"." * 46} done", "data": {{"run_id": "sr'
    began = time.monotonic()
    assert read_excerpt(excerpt)["id"] == "evt_1"
    assert time.monotonic() - began < 1.0


def test_a_stored_delivery_is_known_by_all_its_ids() -> None:
    body = json.dumps({"id": "evt_1", "delivery_id": "d-2"}).encode()
    delivery = Delivery("s", Headers([("x-vibeview-delivery", "d-1")]), body, ALWAYS.since)
    assert set(identities(delivery, SOURCE)) == {"evt_1", "d-1", "d-2"}
    assert set(identities(Delivery("s", Headers([]), b"x", ALWAYS.since), SOURCE)) == set()
